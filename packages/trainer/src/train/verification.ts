import type { LayersModel } from '@tensorflow/tfjs-layers';

import type { Config } from '../config/index.js';
import { createImageLoader, makePairs, type ImageDataset, type ImageLoader } from '../data/index.js';
import { embedImages, imagesOfPairs, pairSimilarities, verify, type ImagePair } from '../evaluate/index.js';

/** Verifies held-out identities during training, on the same pairs every time. */
export class HeldOutVerification {
  readonly #pairs: ImagePair[];
  readonly #loader: ImageLoader;

  /** Errors: those of makePairs. */
  constructor(
    dataset: ImageDataset,
    private readonly config: Pick<Config, 'data' | 'evaluate' | 'seed' | 'training'>,
  ) {
    this.#pairs = makePairs(dataset, { ...config.evaluate, seed: config.seed });
    this.#loader = createImageLoader({
      locate: (name) => dataset.locateName(name),
      workers: config.data.workers,
    });
  }

  /** Accuracy over the folds: mean and standard deviation. */
  async run(backbone: LayersModel): Promise<{ mean: number; std: number }> {
    const embeddings = await embedImages(backbone, imagesOfPairs(this.#pairs), {
      imageSize: this.config.data.imageSize,
      load: (paths, imageSize) => this.#loader.load(paths, imageSize),
      batchSize: Math.min(64, this.config.training.batchSize),
    });
    const same = this.#pairs.map((pair) => pair.same);
    const folds = this.#pairs.map((pair) => pair.fold);
    return verify(pairSimilarities(embeddings, this.#pairs), same, folds).accuracy;
  }

  close(): Promise<void> {
    return this.#loader.close();
  }
}
