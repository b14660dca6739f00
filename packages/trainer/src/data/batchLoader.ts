import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { AugmentPlan } from './augment/plan.js';
import { BadImages, type BadImage, type BadImageCounts } from './badImages.js';
import { MAX_BAD_IMAGES } from './badShare.js';
import { DecodedImages } from './decodedImages.js';
import { DecodePool } from './decodePool.js';
import type { ImageDataset } from './dataset.js';
import { KeyedRandom } from './keyedRandom.js';
import { PIXEL_TO_UNIT } from './loadImages.js';
import { ShuffleSampler, type Sampler } from './samplers/index.js';

/** Where a loader stands: the next batch that `next` gives. Plain JSON. */
export interface LoaderState {
  readonly epoch: number;
  /** Batches of this epoch already given. */
  readonly position: number;
  /** What the position means anything for. */
  readonly seed: number;
  readonly batchSize: number;
  readonly samples: number;
  /** The sampler's id; absent for plain shuffling. */
  readonly sampler?: string | undefined;
  /** Images met so far that cannot be decoded; absent while there was none. */
  readonly bad?: BadImageCounts | undefined;
}

export interface BatchLoaderOptions {
  readonly dataset: ImageDataset;
  readonly batchSize: number;
  /** Side of the images in pixels. */
  readonly imageSize: number;
  /** Orders the samples of each epoch and chooses the mirrored ones. */
  readonly seed: number;
  /** Mirrors every other image, at random. Default true. */
  readonly flip?: boolean;
  /** What else is done to the images, on the decoding threads. Default nothing. */
  readonly augment?: AugmentPlan | undefined;
  /** Which samples make an epoch, and in which order. Default: each once, shuffled. */
  readonly sampler?: Sampler | undefined;
  /** Decoding threads; changes nothing but the speed. Default: the number of processors, at most 8. */
  readonly workers?: number;
  /** Batches made ahead. Default 4. */
  readonly prefetch?: number;
  /** Leaves out an epoch's last, smaller batch. Default true. */
  readonly dropLast?: boolean;
  /** Decoded images are kept in memory when all of them fit in this many bytes; 0 keeps none. Default 256 MiB. */
  readonly cacheDecoded?: number;
  /** stop: an image that cannot be decoded fails its batch. skip: another image stands for it (`BadImages`). Default stop. */
  readonly onBadImage?: 'stop' | 'skip';
  /** skip: share of the dataset's images that may be bad; beyond it a batch fails. Default 0.001. */
  readonly maxBadImages?: number;
  /** Goes on where `state` was taken. */
  readonly resume?: LoaderState;
}

export interface Batch {
  /** [B, imageSize, imageSize, 3] in [−1, 1]: (x/255 − 0.5)/0.5. */
  readonly images: Float32Array;
  /** [B], identities. */
  readonly labels: Int32Array;
  /** [B], into the dataset's samples. */
  readonly indices: Int32Array;
  /** From 0. */
  readonly epoch: number;
  /** How many of them stand for images that cannot be decoded. */
  readonly replaced: number;
  /** Images that could not be decoded and that no batch before had. */
  readonly bad: readonly BadImage[];
}

const STREAM = { flip: 0x666c6970 } as const;

/**
 * Endless batches of a dataset. Each epoch visits the samples in an order of the sampler's, by default a permutation keyed
 * on (seed, epoch), and augments and mirrors the image at a position of it by draws keyed on (seed, epoch, position):
 * neither the number of threads nor their timing changes a batch.
 */
export class BatchLoader {
  /** Batches of one epoch. */
  readonly batchesPerEpoch: number;
  /** Time that callers of `next` have waited for data, in milliseconds. */
  waitMs = 0;

  private readonly options: Required<Omit<BatchLoaderOptions, 'resume' | 'workers' | 'augment' | 'onBadImage' | 'maxBadImages'>>;
  private readonly augment: AugmentPlan | undefined;
  private readonly pool: DecodePool;
  private readonly imageBytes: number;
  private readonly decoded: DecodedImages;
  /** Undefined: such an image is an error. */
  private readonly badImages: BadImages | undefined;
  private readonly ahead: Promise<Batch>[] = [];
  /** Number of the next batch to give, and of the next one to make, counted from epoch 0. */
  private given: number;
  private made: number;
  private order: { epoch: number; indices: Uint32Array } | undefined;
  private closed = false;

  /** @throws HyperArcError E_RANGE for options out of range; E_FORMAT for a state of another run. */
  constructor(options: BatchLoaderOptions) {
    const { dataset, batchSize, imageSize, seed, resume, workers } = options;
    const { flip = true, prefetch = 4, dropLast = true, cacheDecoded = 256 * 2 ** 20 } = options;
    const { onBadImage = 'stop', maxBadImages = MAX_BAD_IMAGES } = options;
    const samples = dataset.labels.length;
    checkWhole('batchSize', batchSize, 1, dropLast ? samples : 2 ** 31, dropLast ? `the dataset has ${samples} images` : '');
    checkWhole('imageSize', imageSize, 1, 4096);
    checkWhole('seed', seed, 0, Number.MAX_SAFE_INTEGER);
    checkWhole('prefetch', prefetch, 1, 1024);
    checkWhole('cacheDecoded', cacheDecoded, 0, Number.MAX_SAFE_INTEGER);
    const sampler: Sampler = options.sampler ?? new ShuffleSampler(samples, seed);
    const perEpoch = sampler.samplesPerEpoch / batchSize;
    this.batchesPerEpoch = dropLast ? Math.floor(perEpoch) : Math.ceil(perEpoch);
    this.given = resume === undefined ? 0 : this.batchNumber(resume, { seed, batchSize, samples, sampler: sampler.id });
    this.made = this.given;
    this.options = { dataset, batchSize, imageSize, seed, flip, sampler, prefetch, dropLast, cacheDecoded };
    // A plan of nothing is no plan: batches then need no second visit to the threads.
    this.augment = options.augment !== undefined && Object.keys(options.augment).length > 0 ? options.augment : undefined;
    this.imageBytes = imageSize * imageSize * 3;
    this.badImages = onBadImage === 'skip' ? new BadImages(dataset, seed, maxBadImages, resume?.bad) : undefined;
    this.pool = new DecodePool(workers);
    this.decoded = new DecodedImages(dataset, this.pool, imageSize, cacheDecoded);
  }

  /**
   * The next batch.
   * @throws HyperArcError E_FORMAT naming a bad image, or where there are too many (again at every call: the state stays before its batch);
   * E_DISPOSED after `close`.
   */
  async next(): Promise<Batch> {
    if (this.closed) throw new HyperArcError('E_DISPOSED', 'loader: expected an open loader, received a closed one; make a new one');
    this.makeAhead();
    const started = performance.now();
    const first = this.ahead[0]!;
    const batch = await first;
    this.waitMs += performance.now() - started;
    if (this.ahead[0] !== first) {
      throw new HyperArcError('E_BUSY', 'loader: expected one call of next at a time, received two; await the first');
    }
    // Counted as they are given: batches made ahead are made again after resuming.
    this.badImages?.check(batch.bad);
    const bad = this.badImages?.add(batch.bad, batch.replaced) ?? [];
    void this.ahead.shift();
    this.given++;
    this.makeAhead();
    return { ...batch, bad };
  }

  /** Where the loader stands, for `resume`. */
  state(): LoaderState {
    const { seed, batchSize, dataset, sampler } = this.options;
    const epoch = Math.floor(this.given / this.batchesPerEpoch);
    const position = this.given - epoch * this.batchesPerEpoch;
    const named = sampler.id === undefined ? {} : { sampler: sampler.id };
    const bad = this.badImages?.counts();
    return { epoch, position, seed, batchSize, samples: dataset.labels.length, ...named, ...(bad && { bad }) };
  }

  /** Ends the decoding threads. May be called again. */
  async close(): Promise<void> {
    this.closed = true;
    await this.pool.close();
  }

  private batchNumber(state: LoaderState, expected: Omit<LoaderState, 'epoch' | 'position' | 'bad'>): number {
    for (const name of ['seed', 'batchSize', 'samples', 'sampler'] as const) {
      if (state[name] !== expected[name]) {
        throw new HyperArcError(
          'E_FORMAT',
          `resume: expected a state with ${name} ${expected[name] ?? 'shuffle'}, received ${state[name] ?? 'shuffle'}; go on with the dataset and settings of the first run`,
        );
      }
    }
    checkWhole('resume.epoch', state.epoch, 0, 2 ** 31);
    checkWhole('resume.position', state.position, 0, this.batchesPerEpoch - 1);
    return state.epoch * this.batchesPerEpoch + state.position;
  }

  private makeAhead(): void {
    while (!this.closed && this.ahead.length < this.options.prefetch) {
      const batch = this.make(this.made++);
      // The error is the business of the call of `next` that awaits this batch, not of the process.
      batch.catch(() => {});
      this.ahead.push(batch);
    }
  }

  /** @returns a batch whose `bad` are all those met in making it. */
  private async make(number: number): Promise<Batch> {
    const { dataset, batchSize, imageSize, seed, flip } = this.options;
    const epoch = Math.floor(number / this.batchesPerEpoch);
    const start = (number - epoch * this.batchesPerEpoch) * batchSize;
    const order = this.epochOrder(epoch);
    const indices = Int32Array.from(order.subarray(start, start + batchSize));
    const { pixels: decoded, failures } = await this.decoded.read(indices);
    if (failures.length > 0 && this.badImages === undefined) throw new HyperArcError('E_FORMAT', failures[0]!.reason);
    const bad = (await this.badImages?.replace({ indices, pixels: decoded, failures }, { order, epoch, start }, this.decoded)) ?? [];
    const labels = indices.map((index) => dataset.labels[index]!);
    const pixels = await this.augmented(decoded, epoch, start);
    const images = new Float32Array(indices.length * this.imageBytes);
    for (let i = 0; i < indices.length; i++) {
      const mirrored = flip && new KeyedRandom(STREAM.flip, seed, epoch, start + i).chance(0.5);
      copyImage(pixels, i * this.imageBytes, images, i * this.imageBytes, imageSize, mirrored);
    }
    return { images, labels, indices, epoch, replaced: failures.length, bad };
  }

  private augmented(pixels: Uint8Array, epoch: number, position: number): Uint8Array | Promise<Uint8Array> {
    if (this.augment === undefined) return pixels;
    const { seed, imageSize } = this.options;
    return this.pool.change(pixels, imageSize, { augment: { plan: this.augment, seed, epoch, position } });
  }

  private epochOrder(epoch: number): Uint32Array {
    if (this.order?.epoch !== epoch) {
      this.order = { epoch, indices: this.options.sampler.epoch(epoch) };
    }
    return this.order.indices;
  }
}

function copyImage(from: Uint8Array, fromAt: number, to: Float32Array, toAt: number, size: number, mirrored: boolean): void {
  if (!mirrored) {
    for (let i = 0; i < size * size * 3; i++) to[toAt + i] = PIXEL_TO_UNIT[from[fromAt + i]!]!;
    return;
  }
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const source = fromAt + (row * size + (size - 1 - column)) * 3;
      const target = toAt + (row * size + column) * 3;
      for (let channel = 0; channel < 3; channel++) to[target + channel] = PIXEL_TO_UNIT[from[source + channel]!]!;
    }
  }
}

function checkWhole(name: string, value: number, low: number, high: number, why = ''): void {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new HyperArcError('E_RANGE', `${name}: expected a whole number from ${low} to ${high}${why && ` (${why})`}, received ${value}`);
  }
}
