import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import sharp from 'sharp';

import { CheckpointStore } from '../checkpoint/store.js';
import { LocationReader, openImages } from '../data/index.js';
import {
  collectEnvironment,
  outdated,
  readEvaluation,
  readFairness,
  readMegaFace,
  readRobustness,
  readVerificationBin,
  setsOf,
  type Environment,
  type Evaluation,
  type SetEvaluation,
} from '../evaluate/index.js';
import { readMetrics } from '../metrics/jsonLines.js';
import { makeFolder, writeAtomically } from '../files.js';
import { checkReportOutput } from '../outputs.js';
import { renderReport } from './render.js';

export interface ReportOptions {
  /** Folder of the run: config.yaml, metrics.jsonl, evaluation.json, megaface.json, robustness.json and fairness.json are shown where they exist. */
  runFolder: string;
  /** Default: evaluation.json of the run folder, if there is one. */
  evaluation?: Evaluation;
  /** Default: that of the evaluation, else of this process. */
  environment?: Environment;
  /** Default: report.html in the run folder. */
  output?: string;
}

const PICTURE_SIDE = 112;

/**
 * Writes the report, one HTML file that needs no other, whole or not at all; over an older report of the name.
 * @returns its path
 * @throws HyperArcError E_RANGE if `output` is another file or cannot be written.
 */
export async function writeReport(options: ReportOptions): Promise<string> {
  const { runFolder, output = join(runFolder, 'report.html') } = options;
  checkReportOutput('output', output, 'report');
  const inRun = (name: string) => join(runFolder, name);
  const evaluation =
    options.evaluation ?? (existsSync(inRun('evaluation.json')) ? readEvaluation(inRun('evaluation.json')) : undefined);
  const metrics = existsSync(inRun('metrics.jsonl')) ? readMetrics(inRun('metrics.jsonl')) : undefined;
  const reached = [...(metrics ?? []), ...new CheckpointStore(inRun('checkpoints')).list()];
  const report = renderReport({
    title: basename(resolve(runFolder)),
    createdAt: new Date().toISOString(),
    environment: options.environment ?? evaluation?.environment ?? collectEnvironment(),
    ...(metrics && { metrics }),
    outdated: evaluation && outdated(evaluation, reached),
    ...(existsSync(inRun('config.yaml')) && { config: readFileSync(inRun('config.yaml'), 'utf8') }),
    ...(existsSync(inRun('megaface.json')) && { megaFace: readMegaFace(inRun('megaface.json')) }),
    ...(existsSync(inRun('robustness.json')) && { robustness: readRobustness(inRun('robustness.json')) }),
    ...(existsSync(inRun('fairness.json')) && { fairness: readFairness(inRun('fairness.json')) }),
    ...(evaluation && { evaluation, pictures: await readPictures(evaluation) }),
  });
  makeFolder(dirname(output));
  writeAtomically(output, report);
  return output;
}

/** Small JPEGs of the worst pairs as data URIs; an image that is gone or broken is left out, and the report says "no picture". */
async function readPictures(evaluation: Evaluation): Promise<Map<string, string>> {
  using reader = new LocationReader();
  const pictures = new Map<string, string>();
  for (const set of setsOf(evaluation)) {
    const { falseAccepts, falseRejects } = set.worst;
    const paths = new Set([...falseAccepts, ...falseRejects].flatMap((pair) => [pair.a, pair.b]));
    const source = imagesOf(set, reader);
    for (const path of paths) {
      try {
        const jpeg = await sharp(await source(path))
          .resize(PICTURE_SIDE, PICTURE_SIDE, { fit: 'cover' })
          .jpeg({ quality: 75 })
          .toBuffer();
        pictures.set(path, `data:image/jpeg;base64,${jpeg.toString('base64')}`);
      } catch {
        // Shown as "no picture".
      }
    }
  }
  return pictures;
}

/** A set's images by name: those of its root, or, with a name, parts of the verification set that the root is. */
function imagesOf({ name, root }: SetEvaluation, reader: LocationReader): (path: string) => Promise<Uint8Array> {
  if (name === undefined) {
    const locate = openImages(root);
    // Whoever asks for a picture is told.
    locate.catch(() => {});
    return async (path) => reader.read((await locate)(path));
  }
  const images = (): readonly Uint8Array[] => readVerificationBin(root).images;
  let read: readonly Uint8Array[] | undefined;
  return async (path) => (read ??= images())[Number(path.slice(name.length + 1))]!;
}
