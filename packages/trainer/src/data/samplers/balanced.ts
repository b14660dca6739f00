import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { KeyedRandom } from '../keyedRandom.js';
import { samplesByClass, STREAM, type ClassLists, type Sampler } from './sampler.js';

export interface BalancedOptions {
  /** [samples], in [0, classes). */
  readonly labels: ArrayLike<number>;
  readonly classes: number;
  /** P: identities of a batch. */
  readonly identities: number;
  /** K: images of each of them. */
  readonly images: number;
  readonly seed: number;
}

/**
 * Batches of P different identities with K images each (P × K sampling, Hermans et al. 2017), the images of an identity
 * side by side.
 *
 * An epoch has as many whole batches as fit in the dataset's number of images, and no fewer than it takes for every identity
 * to come once. Identities come in rounds: each once a round, in an order drawn anew, so that over an epoch none comes more
 * than once oftener than another. An identity shows its images in an order drawn for the epoch, K a round, and begins again
 * when they are used up: K different ones where it has K; where it has fewer, each as often as the others or once more.
 * Images beyond K × rounds are not seen in that epoch; another epoch draws others.
 *
 * Memory: 4 bytes × (2 × samples + samples of an epoch + classes).
 */
export class BalancedSampler implements Sampler {
  readonly id: string;
  readonly samplesPerEpoch: number;
  private readonly lists: ClassLists;
  private readonly batches: number;

  /** @throws HyperArcError E_RANGE unless 1 ≤ P ≤ classes and K ≥ 1, or for an identity without images. */
  constructor(private readonly options: BalancedOptions) {
    const { labels, classes, identities, images } = options;
    checkCount('sampler.identities', identities, classes, `the data have ${classes} identities`);
    checkCount('sampler.images', images, 1024);
    this.lists = samplesByClass(labels, classes);
    for (let c = 0; c < classes; c++) {
      if (this.lists.offsets[c] === this.lists.offsets[c + 1]) {
        throw new HyperArcError('E_RANGE', `sampler: expected an image of every identity, received none of identity ${c}; number identities without gaps`);
      }
    }
    this.batches = Math.max(Math.floor(labels.length / (identities * images)), Math.ceil(classes / identities));
    this.samplesPerEpoch = this.batches * identities * images;
    this.id = `balanced, ${identities} identities of ${images} images`;
  }

  epoch(epoch: number): Uint32Array {
    const { identities, images, seed } = this.options;
    const { offsets, samples } = this.lists;
    const shuffled = samples.slice();
    const random = new KeyedRandom(STREAM.images, seed, epoch);
    for (let c = 0; c + 1 < offsets.length; c++) random.shuffle(shuffled.subarray(offsets[c], offsets[c + 1]));

    const order = new Uint32Array(this.samplesPerEpoch);
    let at = 0;
    for (const { identity, round } of this.visits(epoch, this.batches * identities)) {
      const first = offsets[identity]!;
      const count = offsets[identity + 1]! - first;
      for (let k = 0; k < images; k++) order[at++] = shuffled[first + ((round * images + k) % count)]!;
    }
    return order;
  }

  /** Identities in order of appearance: rounds one after the other, with no identity twice in a batch where one round ends in it. */
  private *visits(epoch: number, count: number): Generator<{ identity: number; round: number }> {
    const { classes, identities, seed } = this.options;
    const random = new KeyedRandom(STREAM.identities, seed, epoch);
    let previous = new Uint32Array(0);
    for (let given = 0, round = 0; given < count; round++) {
      const order = random.shuffle(Uint32Array.from({ length: classes }, (_, i) => i));
      const begun = given % identities;
      const current = begun === 0 ? order : withoutRepeats(order, previous.subarray(classes - begun), identities - begun);
      for (const identity of current.subarray(0, count - given)) yield { identity, round };
      given += classes;
      previous = current;
    }
  }
}

/** The order with its first `count` places free of `taken`: what is in the way comes right after them. */
function withoutRepeats(order: Uint32Array<ArrayBuffer>, taken: Uint32Array, count: number): Uint32Array<ArrayBuffer> {
  const refused = new Set(taken);
  const first: number[] = [];
  const waiting: number[] = [];
  let read = 0;
  while (first.length < count) {
    const identity = order[read++]!;
    (refused.has(identity) ? waiting : first).push(identity);
  }
  const result = order.slice();
  result.set([...first, ...waiting]);
  return result;
}

export function checkCount(name: string, value: number, high: number, why?: string): void {
  if (!Number.isInteger(value) || value < 1 || value > high) {
    throw new HyperArcError('E_RANGE', `${name}: expected a whole number from 1 to ${high}${why === undefined ? '' : ` (${why})`}, received ${value}`);
  }
}
