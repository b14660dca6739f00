import { readFileSync } from 'node:fs';
import { HyperArcError } from '@hyperarc/kernels-cuda';

import { CORRUPTION_NAMES, CORRUPTIONS, SEVERITIES, type CorruptionName, type Severity } from '../../data/index.js';
import { writeAtomically } from '../../files.js';
import { embedImages, type Embeddings, type EmbeddingModel, type ImageLoader } from '../embed.js';
import { imagesOfPairs, type ImagePair } from '../pairs.js';
import { checkFar } from '../roc.js';
import { ratesAt, thresholdAtFmr } from '../threshold.js';
import { verify } from '../verify.js';
import { yawBins, type YawBin } from './yaw.js';

/** How verification goes on one set of images. */
export interface Condition {
  /** Over folds, with thresholds from the other folds of the same condition. */
  readonly accuracy: { readonly mean: number; readonly std: number };
  readonly auc: number;
  readonly eer: number;
  /** At the threshold of the clean images; null where that is not measurable. */
  readonly atCleanThreshold: { readonly fmr: number; readonly fnmr: number } | null;
}

export interface CorruptedCondition extends Condition {
  readonly severity: Severity;
  /** In the corruption's unit. */
  readonly strength: number;
}

/** Contents of robustness.json. */
export interface Robustness {
  readonly format: 'hyperarc-robustness-1';
  /** ISO 8601. */
  readonly createdAt: string;
  /** What was verified, in words. */
  readonly data: string;
  readonly pairs: number;
  readonly images: number;
  readonly imageSize: number;
  readonly flip: boolean;
  /** `both` images of each pair are corrupted, or the second (`probe`) against a clean first. */
  readonly corrupted: 'both' | 'probe';
  readonly seed: number;
  /** FMR that sets the threshold on the clean images, and that threshold; null: too few different pairs to measure it. */
  readonly fmrTarget: number;
  readonly cleanThreshold: number | null;
  readonly clean: Condition;
  readonly corruptions: readonly {
    readonly name: CorruptionName;
    readonly unit: string;
    readonly severities: readonly CorruptedCondition[];
  }[];
  /** Clean pairs by the larger |yaw| of their two images; absent without attributes. */
  readonly yaw?: readonly YawBin[];
}

export interface RobustnessOptions {
  readonly model: EmbeddingModel;
  readonly pairs: readonly ImagePair[];
  readonly imageSize: number;
  /** Clean images. */
  readonly load: ImageLoader;
  /** Corrupted images. */
  readonly loadCorrupted: (name: CorruptionName, severity: Severity) => ImageLoader;
  readonly data: string;
  readonly seed: number;
  /** Default all. */
  readonly corruptions?: readonly CorruptionName[];
  readonly corrupted?: 'both' | 'probe';
  /** Default 1e-2. */
  readonly fmr?: number;
  readonly batchSize?: number;
  readonly flip?: boolean;
  /** Yaw of an image in degrees; undefined where it is not known. */
  readonly yawOf?: (path: string) => number | undefined;
  /** Called after every condition. */
  readonly onProgress?: (done: number, total: number, condition: string) => void;
}

/** Cosines of pairs, the first image of each from one set of embeddings, the second from another. */
function similaritiesBetween(first: Embeddings, second: Embeddings, pairs: readonly ImagePair[]): Float64Array {
  const rows = (embeddings: Embeddings) => new Map(embeddings.paths.map((path, n) => [path, n]));
  const [rowsA, rowsB] = [rows(first), rows(second)];
  const { dim } = first;
  return Float64Array.from(pairs, ({ a, b }) => {
    const [atA, atB] = [rowsA.get(a)! * dim, rowsB.get(b)! * dim];
    let dot = 0;
    for (let d = 0; d < dim; d++) dot += first.valuesND[atA + d]! * second.valuesND[atB + d]!;
    return Math.min(1, Math.max(-1, dot));
  });
}

/**
 * Verifies the same pairs clean and under every corruption at every severity.
 * @throws HyperArcError E_RANGE for no or an unknown corruption; those of embedImages and verify.
 */
export async function evaluateRobustness(options: RobustnessOptions): Promise<Robustness> {
  const { model, pairs, imageSize, load, loadCorrupted, data, seed, yawOf, onProgress } = options;
  const { corruptions = CORRUPTION_NAMES, corrupted = 'both', fmr = 1e-2, batchSize = 64, flip = true } = options;
  checkFar('far', fmr);
  const unknown = corruptions.find((name) => !CORRUPTION_NAMES.includes(name));
  if (unknown !== undefined || corruptions.length === 0) {
    throw new HyperArcError(
      'E_RANGE',
      `corruptions: expected some of ${CORRUPTION_NAMES.join(', ')}, received ${unknown ?? 'none'}`,
    );
  }
  const images = imagesOfPairs(pairs);
  const probes = corrupted === 'both' ? images : [...new Set(pairs.map(({ b }) => b))];
  const same = pairs.map((pair) => pair.same);
  const folds = pairs.map((pair) => pair.fold);
  const total = 1 + corruptions.length * SEVERITIES.length;
  let done = 0;
  const embed = async (paths: readonly string[], loader: ImageLoader, condition: string): Promise<Embeddings> => {
    const embeddings = await embedImages(model, paths, { imageSize, load: loader, batchSize, flip });
    onProgress?.(++done, total, condition);
    return embeddings;
  };

  const cleanEmbeddings = await embed(images, load, 'clean');
  const cleanSimilarities = similaritiesBetween(cleanEmbeddings, cleanEmbeddings, pairs);
  const at = thresholdAtFmr(cleanSimilarities, same, fmr);
  const cleanThreshold = 'threshold' in at ? at.threshold : null;
  const judge = (similarities: Float64Array): Condition => {
    const { accuracy, auc, eer } = verify(similarities, same, folds);
    return {
      accuracy: { mean: accuracy.mean, std: accuracy.std },
      auc,
      eer,
      atCleanThreshold: cleanThreshold === null ? null : ratesAt(similarities, same, cleanThreshold),
    };
  };
  const curves = [];
  for (const name of corruptions) {
    const { unit, strengths } = CORRUPTIONS[name];
    const severities: CorruptedCondition[] = [];
    for (const severity of SEVERITIES) {
      const embeddings = await embed(probes, loadCorrupted(name, severity), `${name} ${severity}`);
      const first = corrupted === 'both' ? embeddings : cleanEmbeddings;
      severities.push({
        severity,
        strength: strengths[severity - 1]!,
        ...judge(similaritiesBetween(first, embeddings, pairs)),
      });
    }
    curves.push({ name, unit, severities });
  }
  return {
    format: 'hyperarc-robustness-1',
    createdAt: new Date().toISOString(),
    data,
    pairs: pairs.length,
    images: images.length,
    imageSize,
    flip,
    corrupted,
    seed,
    fmrTarget: fmr,
    cleanThreshold,
    clean: judge(cleanSimilarities),
    corruptions: curves,
    ...(yawOf && { yaw: yawBins(pairs, cleanSimilarities, yawOf, cleanThreshold) }),
  };
}

/** Writes robustness.json whole or not at all. */
export function writeRobustness(path: string, robustness: Robustness): void {
  writeAtomically(path, `${JSON.stringify(robustness, null, 1)}\n`);
}

/** @throws HyperArcError E_FORMAT if the file is not one of this format. */
export function readRobustness(path: string): Robustness {
  let value: Partial<Robustness> | null = null;
  try {
    value = JSON.parse(readFileSync(path, 'utf8')) as Partial<Robustness> | null;
  } catch {
    // Answered below.
  }
  if (value?.format !== 'hyperarc-robustness-1' || !Array.isArray(value.corruptions)) {
    throw new HyperArcError(
      'E_FORMAT',
      `${path}: expected a file of format hyperarc-robustness-1; run hyperarc robustness again`,
    );
  }
  return value as Robustness;
}
