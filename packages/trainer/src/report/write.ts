import { existsSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import sharp from 'sharp';

import { LocationReader, openImages } from '../data/index.js';
import {
  collectEnvironment,
  readEvaluation,
  readFairness,
  readRobustness,
  type Environment,
  type Evaluation,
} from '../evaluate/index.js';
import { readMetrics } from '../metrics/jsonLines.js';
import { writeAtomically } from '../files.js';
import { renderReport } from './render.js';

export interface ReportOptions {
  /** Folder of the run: config.yaml, metrics.jsonl, evaluation.json, robustness.json and fairness.json are shown where they exist. */
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
 * Writes the report, one HTML file that needs no other, whole or not at all.
 * @returns its path
 */
export async function writeReport(options: ReportOptions): Promise<string> {
  const { runFolder, output = join(runFolder, 'report.html') } = options;
  const inRun = (name: string) => join(runFolder, name);
  const evaluation =
    options.evaluation ?? (existsSync(inRun('evaluation.json')) ? readEvaluation(inRun('evaluation.json')) : undefined);
  const report = renderReport({
    title: basename(resolve(runFolder)),
    createdAt: new Date().toISOString(),
    environment: options.environment ?? evaluation?.environment ?? collectEnvironment(),
    ...(existsSync(inRun('metrics.jsonl')) && { metrics: readMetrics(inRun('metrics.jsonl')) }),
    ...(existsSync(inRun('config.yaml')) && { config: readFileSync(inRun('config.yaml'), 'utf8') }),
    ...(existsSync(inRun('robustness.json')) && { robustness: readRobustness(inRun('robustness.json')) }),
    ...(existsSync(inRun('fairness.json')) && { fairness: readFairness(inRun('fairness.json')) }),
    ...(evaluation && { evaluation, pictures: await readPictures(evaluation) }),
  });
  writeAtomically(output, report);
  return output;
}

/** Small JPEGs of the worst pairs as data URIs; an image that is gone or broken is left out, and the report says "no picture". */
async function readPictures({ worst, root }: Evaluation): Promise<Map<string, string>> {
  using reader = new LocationReader();
  const paths = new Set([...worst.falseAccepts, ...worst.falseRejects].flatMap((pair) => [pair.a, pair.b]));
  const pictures = new Map<string, string>();
  const locate = openImages(root);
  for (const path of paths) {
    try {
      const jpeg = await sharp(await reader.read((await locate)(path)))
        .resize(PICTURE_SIDE, PICTURE_SIDE, { fit: 'cover' })
        .jpeg({ quality: 75 })
        .toBuffer();
      pictures.set(path, `data:image/jpeg;base64,${jpeg.toString('base64')}`);
    } catch {
      // Shown as "no picture".
    }
  }
  return pictures;
}
