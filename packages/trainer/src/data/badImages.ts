import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { checkBadCount, checkShare } from './badShare.js';
import type { ImageDataset } from './dataset.js';
import type { DecodedImages } from './decodedImages.js';
import type { Decoded } from './decodePool.js';
import { KeyedRandom } from './keyedRandom.js';
import { nameOfLocation } from './location.js';
import { samplesByClass, type ClassLists } from './samplers/sampler.js';

/** An image that cannot be decoded. */
export interface BadImage {
  /** Into the dataset's samples. */
  readonly index: number;
  /** In words, with the image's name. */
  readonly reason: string;
}

/** What a loader has met so far, for checkpoints. Plain JSON. */
export interface BadImageCounts {
  /** Images of batches that others stand for. */
  readonly replaced: number;
  /** The images that could not be decoded, each once, ascending; into the dataset's samples. */
  readonly images: readonly number[];
}

/** A batch some of whose images could not be decoded. */
export interface DecodedBatch extends Decoded {
  /** [B], into the dataset's samples. */
  readonly indices: Int32Array;
}

/** Where a batch is. */
export interface BatchPlace {
  readonly epoch: number;
  /** The epoch's samples. */
  readonly order: Uint32Array;
  /** Of the batch's first in it. */
  readonly start: number;
}

const STREAM = 0x626164;

/**
 * Replaces images that cannot be decoded and counts them. Which image stands for another is a function of the seed, the
 * epoch, the position and of which files are damaged: neither threads nor resuming change it.
 */
export class BadImages {
  private readonly known: Set<number>;
  private replaced: number;
  private lists: ClassLists | undefined;

  /**
   * @param maxShare Share of the dataset's images that may be bad, in [0, 1].
   * @throws HyperArcError E_RANGE for another share; E_FORMAT for counts of another dataset.
   */
  constructor(
    private readonly dataset: ImageDataset,
    private readonly seed: number,
    private readonly maxShare: number,
    counts: BadImageCounts = { replaced: 0, images: [] },
  ) {
    checkShare(maxShare);
    const samples = dataset.labels.length;
    const outside = counts.images.find((index) => !Number.isInteger(index) || index < 0 || index >= samples);
    if (outside !== undefined) {
      throw new HyperArcError(
        'E_FORMAT',
        `resume.bad.images: expected images from 0 to ${samples - 1}, received ${outside}; ` +
          'go on with the dataset of the first run',
      );
    }
    this.known = new Set(counts.images);
    this.replaced = counts.replaced;
  }

  /** Undefined as long as every image was good. */
  counts(): BadImageCounts | undefined {
    if (this.replaced === 0) return undefined;
    return { replaced: this.replaced, images: [...this.known].sort((a, b) => a - b) };
  }

  /**
   * Whether those met so far and these are not too many together.
   * @throws HyperArcError E_FORMAT naming the last of them.
   */
  check(bad: readonly BadImage[]): void {
    if (bad.length === 0) return;
    const count = this.known.size + bad.filter(({ index }) => !this.known.has(index)).length;
    const found = { bad: count, total: this.dataset.labels.length, last: bad.at(-1)!.reason };
    const fix = 'hyperarc data check lists them all; mend or remove them, or give a larger share';
    checkBadCount('data.maxBadImages', this.maxShare, found, fix);
  }

  /** Takes a batch's into the count. @returns those that were not in it. */
  add(bad: readonly BadImage[], replaced: number): BadImage[] {
    const fresh = bad.filter(({ index }) => !this.known.has(index));
    for (const { index } of fresh) this.known.add(index);
    this.replaced += replaced;
    return fresh;
  }

  /**
   * Puts other images where some of a batch could not be decoded, into its `pixels` and `indices`.
   * @returns all that were found bad, none of them counted yet.
   * @throws HyperArcError E_FORMAT where they are too many, or nothing can stand for one.
   */
  async replace(batch: DecodedBatch, place: BatchPlace, images: DecodedImages): Promise<BadImage[]> {
    const bad = new Map(batch.failures.map(({ at, reason }) => [batch.indices[at]!, reason]));
    for (const { at } of batch.failures) {
      const instead = await this.firstGood(place, place.start + at, bad, images);
      batch.pixels.set(instead.pixels, at * instead.pixels.length);
      batch.indices[at] = instead.index;
    }
    return badImagesOf(bad);
  }

  /** The first image that may stand for one and can be decoded; those that cannot be are put into `bad`. */
  private async firstGood(
    place: BatchPlace,
    position: number,
    bad: Map<number, string>,
    images: DecodedImages,
  ): Promise<{ index: number; pixels: Uint8Array }> {
    for (const index of this.candidates(place, position)) {
      // Of a dataset that is damaged through and through not all is tried.
      this.check(badImagesOf(bad));
      if (bad.has(index)) continue;
      const { pixels, failures } = await images.read(Int32Array.of(index));
      if (failures.length === 0) return { index, pixels };
      bad.set(index, failures[0]!.reason);
    }
    this.check(badImagesOf(bad));
    const name = nameOfLocation(this.dataset.locate(place.order[position]!));
    throw new HyperArcError(
      'E_FORMAT',
      `data: expected an image that can be decoded in place of ${name}, received none; run hyperarc data check`,
    );
  }

  /**
   * What may stand for the image at a position, in order: the others of its identity, from one drawn by (seed, epoch,
   * position) on and around; then those that come after it in the epoch, and around.
   */
  private *candidates({ order, epoch }: BatchPlace, position: number): Generator<number, void> {
    const index = order[position]!;
    this.lists ??= samplesByClass(this.dataset.labels, this.dataset.identities.length);
    const { offsets, samples } = this.lists;
    const label = this.dataset.labels[index]!;
    const own = samples.subarray(offsets[label], offsets[label + 1]);
    const first = new KeyedRandom(STREAM, this.seed, epoch, position).integer(own.length);
    for (let i = 0; i < own.length; i++) {
      const other = own[(first + i) % own.length]!;
      if (other !== index) yield other;
    }
    for (let i = 1; i < order.length; i++) yield order[(position + i) % order.length]!;
  }
}

const badImagesOf = (bad: ReadonlyMap<number, string>): BadImage[] =>
  Array.from(bad, ([index, reason]) => ({ index, reason }));
