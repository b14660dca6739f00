import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import { createImageLoader } from '../../data/loadImages.js';
import { collectEnvironment, type Environment } from '../environment.js';
import { embedImages, normalizeRows } from '../embed.js';
import { readFeatureFile } from '../files/featureFile.js';
import type { SizedModel } from '../ijb/evaluateIjb.js';
import type { CosineOptions } from '../search/cosineBlocks.js';
import type { Features } from '../search/features.js';
import { evaluateDistractors, type MegaFaceFigures } from './identify.js';
import { lastParts, megaFaceFiles, readImageList, readNoises } from './lists.js';
import { checkDistractorIndex, type DistractorIndex } from './searchDistractors.js';

/**
 * What becomes of the images of FaceScrub that show somebody else. `center`: they stand for the mean of their person's other images, as InsightFace's
 * `remove_noises.py` has it (there with noise of 0.001 added), which published "R" figures come from; `drop`: they take no part.
 */
export type NoisyProbes = 'center' | 'drop';

/** Contents of megaface.json. */
export interface MegaFaceEvaluation extends MegaFaceFigures {
  format: 'hyperarc-megaface-1';
  /** ISO 8601. */
  createdAt: string;
  data: string;
  source: string;
  /** With the lists of noises ("R"), or as the data came. */
  cleaned: boolean;
  /** null where nothing was cleaned. */
  noisyProbes: NoisyProbes | null;
  /** What the lists of noises named. */
  noisyProbeImages: number;
  noisyDistractors: number;
  /** Of the process that evaluated. */
  environment: Environment;
}

export interface MegaFaceEvaluationOptions extends Pick<CosineOptions, 'device'> {
  /** Folder of InsightFace's test suite. */
  readonly data: string;
  /** Another list of FaceScrub or of distractors: paths, or the devkit's JSON. */
  readonly probes?: string;
  readonly distractors?: string;
  /** Embeddings in the order of the lists: .npy or .safetensors; both or none. */
  readonly probeFeatures?: string;
  readonly distractorFeatures?: string;
  /** Default true: leave out what the lists of noises name. */
  readonly cleaned?: boolean;
  /** Default `center`. */
  readonly noisyProbes?: NoisyProbes;
  /** Search the distractors through an index; default: exactly. */
  readonly index?: DistractorIndex;
  readonly batchSize?: number;
  readonly flip?: boolean;
  readonly workers?: number;
  readonly log?: (line: string) => void;
  readonly onProgress?: (what: string, done: number, total: number) => void;
}

/**
 * Rank-1 identification and verification on MegaFace with the probes of FaceScrub, from InsightFace's test suite of aligned images.
 * @param source what embeds the images, unless there are features
 * @throws HyperArcError E_FORMAT naming file and line, E_RANGE without features and model, those of the parts.
 */
export async function evaluateMegaFace(
  options: MegaFaceEvaluationOptions,
  source?: SizedModel,
): Promise<MegaFaceEvaluation> {
  const { data, cleaned = true, noisyProbes = 'center', log = () => undefined, onProgress } = options;
  const files = megaFaceFiles(data);
  const probePaths = readImageList(options.probes ?? files.probes, 2);
  const distractorPaths = readImageList(options.distractors ?? files.distractors, 3);
  const probeNoises = cleaned ? readNoises(files.probeNoises) : new Set<string>();
  const distractorNoises = cleaned ? readNoises(files.distractorNoises) : new Set<string>();
  const probeIsNoise = probePaths.map((path) => probeNoises.has(basename(path)));
  const distractorIsNoise = distractorPaths.map((path) => distractorNoises.has(lastParts(path, 3)));
  log(
    `FaceScrub: ${probePaths.length} images, ${count(probeIsNoise)} noisy; MegaFace: ${distractorPaths.length} images, ${count(distractorIsNoise)} noisy`,
  );

  const keptProbes = probeIsNoise.map((noise) => noisyProbes === 'center' || !noise);
  const keptDistractors = distractorIsNoise.map((noise) => !noise);
  // Before hours of embedding.
  if (options.index !== undefined) checkDistractorIndex(options.index, count(keptProbes), count(keptDistractors));

  const embedded = await featuresOf(options, source, probePaths, distractorPaths);
  const people = probePaths.map((path) => lastParts(path, 2).split('/')[0]!);
  const replaced = noisyProbes === 'center' ? centerNoises(embedded.probes, people, probeIsNoise) : embedded.probes;
  const figures = await evaluateDistractors(
    keepRows(replaced, keptProbes),
    people.filter((_, i) => keptProbes[i]),
    keepRows(embedded.distractors, keptDistractors),
    {
      ...(options.device !== undefined && { device: options.device }),
      ...(options.index !== undefined && { index: options.index }),
      ...(onProgress && {
        onIndexProgress: (done, total) => onProgress('put into lists', done, total),
        onProgress: (done, total) => onProgress('searched', done, total),
      }),
    },
  );
  return {
    format: 'hyperarc-megaface-1',
    createdAt: new Date().toISOString(),
    data,
    source: options.distractorFeatures ?? source!.name,
    cleaned,
    noisyProbes: cleaned ? noisyProbes : null,
    noisyProbeImages: count(probeIsNoise),
    noisyDistractors: count(distractorIsNoise),
    ...figures,
    environment: collectEnvironment(source?.backend),
  };
}

const count = (flags: readonly boolean[]): number => flags.filter(Boolean).length;

async function featuresOf(
  options: MegaFaceEvaluationOptions,
  source: SizedModel | undefined,
  probePaths: readonly string[],
  distractorPaths: readonly string[],
): Promise<{ probes: Features; distractors: Features }> {
  const { probeFeatures, distractorFeatures, data } = options;
  if ((probeFeatures === undefined) !== (distractorFeatures === undefined)) {
    throw new HyperArcError(
      'E_RANGE',
      'features: expected those of probes and distractors, received one of both; give both or none',
    );
  }
  const files = megaFaceFiles(data);
  if (probeFeatures !== undefined && distractorFeatures !== undefined) {
    const probes = readFeatureFile(probeFeatures, probePaths.length, options.probes ?? files.probes).plain;
    const distractors = readFeatureFile(
      distractorFeatures,
      distractorPaths.length,
      options.distractors ?? files.distractors,
    ).plain;
    normalizeRows(probes.valuesND, probes.dim, probePaths);
    return { probes, distractors };
  }
  if (source === undefined) {
    throw new HyperArcError(
      'E_RANGE',
      'features: expected a run, a model or files of features, received none; give one of them',
    );
  }
  checkImages(files.probeImages, probePaths);
  checkImages(files.distractorImages, distractorPaths);
  return {
    probes: await embed(options, source, files.probeImages, probePaths, 'FaceScrub embedded'),
    distractors: await embed(options, source, files.distractorImages, distractorPaths, 'MegaFace embedded'),
  };
}

/** @throws HyperArcError E_FORMAT if an image of the list is not there */
function checkImages(folder: string, paths: readonly string[]): void {
  const missing = paths.filter((path) => !existsSync(join(folder, path)));
  if (missing.length === 0) return;
  throw new HyperArcError(
    'E_FORMAT',
    `${folder}: expected the ${paths.length} images of the list, ${missing.length} are missing, the first is ${missing[0]}; copy the folder again`,
  );
}

async function embed(
  { batchSize, flip, workers, onProgress }: MegaFaceEvaluationOptions,
  { model, imageSize }: SizedModel,
  root: string,
  paths: readonly string[],
  what: string,
): Promise<Features> {
  const loader = createImageLoader({ root, ...(workers !== undefined && { workers }) });
  try {
    return await embedImages(model, paths, {
      imageSize,
      load: (batch, size) => loader.load(batch, size),
      ...(batchSize !== undefined && { batchSize }),
      ...(flip !== undefined && { flip }),
      ...(onProgress && { onProgress: (done, total) => onProgress(what, done, total) }),
    });
  } finally {
    await loader.close();
  }
}

/**
 * The unit rows with each noisy one replaced by the sum of its person's good ones, scaled to length 1.
 * @throws HyperArcError E_RANGE for a person without a good image
 */
function centerNoises(probes: Features, people: readonly string[], isNoise: readonly boolean[]): Features {
  const { valuesND, dim } = probes;
  const sums = new Map<string, Float64Array>();
  people.forEach((person, i) => {
    if (isNoise[i]) return;
    let sum = sums.get(person);
    if (sum === undefined) sums.set(person, (sum = new Float64Array(dim)));
    for (let d = 0; d < dim; d++) sum[d]! += valuesND[i * dim + d]!;
  });
  const result = valuesND.slice();
  people.forEach((person, i) => {
    if (!isNoise[i]) return;
    const sum = sums.get(person);
    if (sum === undefined) {
      throw new HyperArcError(
        'E_RANGE',
        `${person}: expected a good image, received only noisy ones; leave them out with --noisy-probes drop`,
      );
    }
    result.set(sum, i * dim);
  });
  normalizeRows(result, dim, people);
  return { valuesND: result, dim };
}

/** The rows whose flag is set; the matrix itself if all are. Rows move down in place: a second copy of a million would be 2 GB. */
function keepRows({ valuesND, dim }: Features, keep: readonly boolean[]): Features {
  let kept = 0;
  keep.forEach((flag, row) => {
    if (!flag) return;
    if (row !== kept) valuesND.copyWithin(kept * dim, row * dim, (row + 1) * dim);
    kept += 1;
  });
  return { valuesND: valuesND.subarray(0, kept * dim), dim };
}
