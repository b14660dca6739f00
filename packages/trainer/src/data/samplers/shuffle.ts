import { KeyedRandom } from '../keyedRandom.js';
import { STREAM, type Sampler } from './sampler.js';

/** Every sample once an epoch, in an order keyed on (seed, epoch). */
export class ShuffleSampler implements Sampler {
  constructor(
    private readonly samples: number,
    private readonly seed: number,
  ) {}

  get samplesPerEpoch(): number {
    return this.samples;
  }

  epoch(epoch: number): Uint32Array {
    const indices = Uint32Array.from({ length: this.samples }, (_, i) => i);
    return new KeyedRandom(STREAM.order, this.seed, epoch).shuffle(indices);
  }
}
