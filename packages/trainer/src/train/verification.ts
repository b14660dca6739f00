import type { LayersModel } from '@tensorflow/tfjs-layers';

import type { Config } from '../config/index.js';
import { createImageLoader, makePairs, type ImageDataset } from '../data/index.js';
import {
  embedImages,
  imagesOfPairs,
  meanAccuracy,
  meanNorm,
  pairSimilarities,
  verify,
  type ImageLoader,
  type ImagePair,
} from '../evaluate/index.js';
import { openCheckedSets, openVerificationSets, type VerificationSet } from '../evaluate/sets/verificationSet.js';

/** How the backbone did on the held-out identities, or on one set. */
export interface VerificationResult {
  /** Name of the set; absent: the held-out identities. */
  set?: string;
  /** Over the folds: mean and standard deviation. */
  accuracy: number;
  accuracyStd: number;
  /** VAL at a FAR of 1e-3. */
  val: number;
  xNorm: number;
}

/** Pairs that are verified again and again. */
interface Part {
  set?: string;
  pairs: readonly ImagePair[];
  load: ImageLoader;
  close(): Promise<void>;
}

type VerificationConfig = Pick<Config, 'data' | 'evaluate' | 'seed' | 'training'>;

/** The held-out identities: the same pairs every time. Errors: those of makePairs. */
function heldOutPart(dataset: ImageDataset, { data, evaluate, seed }: VerificationConfig): Part {
  // Before the loader has threads: too few images end it here.
  const pairs = makePairs(dataset, { ...evaluate, seed });
  const loader = createImageLoader({ locate: dataset.locateName, workers: data.workers });
  return {
    pairs,
    load: (paths, imageSize) => loader.load(paths, imageSize),
    close: () => loader.close(),
  };
}

/**
 * The sets of `evaluate.sets`, every image of them decoded once.
 * @returns none if `evaluate.every` is 0; but the files must be there and right in form.
 * @throws HyperArcError E_FORMAT for a set that cannot be read; as openCheckedSets.
 */
export async function openTrainingSets(
  { data, evaluate }: Pick<Config, 'data' | 'evaluate'>,
  log: (line: string) => void,
): Promise<VerificationSet[]> {
  if (evaluate.every === 0) {
    openVerificationSets(evaluate.sets);
    return [];
  }
  const sets = await openCheckedSets(evaluate.sets, { imageSize: data.imageSize });
  for (const { name, pairs } of sets)
    log(`set ${name}: ${pairs.length} pairs of ${imagesOfPairs(pairs).length} images`);
  return sets;
}

/** Verifies the backbone during training: the held-out identities, if there are any, and the sets of `evaluate.sets`. */
export class PeriodicVerification {
  private constructor(
    private readonly parts: readonly Part[],
    private readonly config: VerificationConfig,
  ) {}

  /**
   * @returns undefined if there is nothing to verify, or `evaluate.every` is 0.
   * @throws HyperArcError: those of makePairs.
   */
  static of(
    heldOut: ImageDataset | undefined,
    sets: readonly VerificationSet[],
    config: VerificationConfig,
  ): PeriodicVerification | undefined {
    if (config.evaluate.every === 0 || (heldOut === undefined && sets.length === 0)) return undefined;
    const parts = sets.map(({ name, pairs, load }): Part => ({ set: name, pairs, load, close: async () => {} }));
    return new PeriodicVerification(heldOut === undefined ? parts : [heldOutPart(heldOut, config), ...parts], config);
  }

  async run(backbone: LayersModel): Promise<VerificationResult[]> {
    const { data, training } = this.config;
    const batchSize = Math.min(64, training.batchSize);
    const results: VerificationResult[] = [];
    for (const { set, pairs, load } of this.parts) {
      const embeddings = await embedImages(backbone, imagesOfPairs(pairs), {
        imageSize: data.imageSize,
        load,
        batchSize,
      });
      const same = pairs.map((pair) => pair.same);
      const folds = pairs.map((pair) => pair.fold);
      const { accuracy, val } = verify(pairSimilarities(embeddings, pairs), same, folds);
      results.push({
        ...(set !== undefined && { set }),
        accuracy: accuracy.mean,
        accuracyStd: accuracy.std,
        val: val.mean,
        xNorm: meanNorm(embeddings, pairs),
      });
    }
    return results;
  }

  async close(): Promise<void> {
    for (const part of this.parts) await part.close();
  }
}

/** What checkpoints are compared by: the mean accuracy of the sets, or without sets that of the held-out identities. */
export function verificationScore(results: readonly VerificationResult[]): number {
  const sets = results.filter(({ set }) => set !== undefined);
  return meanAccuracy((sets.length > 0 ? sets : results).map(({ accuracy }) => accuracy));
}

/** `held-out accuracy 91.20%  lfw 99.53 ± 0.31%  agedb_30 …  mean of 2 sets 98.42%`. */
export function verificationLine(results: readonly VerificationResult[]): string {
  const percent = (share: number): string => (100 * share).toFixed(2);
  const parts = results.map(({ set, accuracy, accuracyStd }) =>
    set === undefined
      ? `held-out accuracy ${percent(accuracy)}%`
      : `${set} ${percent(accuracy)} ± ${percent(accuracyStd)}%`,
  );
  const sets = results.filter(({ set }) => set !== undefined).length;
  if (sets > 1) parts.push(`mean of ${sets} sets ${percent(verificationScore(results))}%`);
  return parts.join('  ');
}
