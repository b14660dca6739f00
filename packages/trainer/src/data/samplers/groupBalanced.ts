import { createHash } from 'node:crypto';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { KeyedRandom } from '../keyedRandom.js';
import { checkCount } from './balanced.js';
import { samplesByClass, STREAM, type ClassLists, type Sampler } from './sampler.js';

export interface GroupBalancedOptions {
  /** [samples], in [0, groupNames.length). */
  readonly groups: ArrayLike<number>;
  readonly groupNames: readonly string[];
  readonly batchSize: number;
  readonly seed: number;
}

/**
 * As many images of each group as of any other: groups take turns, so that in every batch, and over all batches, their
 * numbers differ by at most one. Within a group every image comes once, in an order drawn anew, before any comes again; that
 * order goes on from one epoch to the next.
 *
 * An epoch has as many whole batches as fit in the dataset's number of images: images of small groups come more than once in
 * it, and not all of large ones.
 *
 * Memory: 4 bytes × (2 × samples + samples of an epoch).
 */
export class GroupBalancedSampler implements Sampler {
  readonly id: string;
  readonly samplesPerEpoch: number;
  private readonly lists: ClassLists;

  /** @throws HyperArcError E_RANGE for a group without images, or fewer images than a batch. */
  constructor(private readonly options: GroupBalancedOptions) {
    const { groups, groupNames, batchSize } = options;
    checkCount('batchSize', batchSize, groups.length, `the data have ${groups.length} images`);
    this.lists = samplesByClass(groups, groupNames.length);
    const { offsets } = this.lists;
    const empty = groupNames.filter((_, g) => offsets[g] === offsets[g + 1]);
    if (groupNames.length === 0 || empty.length > 0) {
      throw new HyperArcError('E_RANGE', `sampler.groups: expected images of every group, received none of ${empty.join(', ') || 'any'}; take it out of the file`);
    }
    this.samplesPerEpoch = Math.floor(groups.length / batchSize) * batchSize;
    const digest = createHash('sha256').update(groupNames.join('\n')).update(Uint32Array.from(groups)).digest('hex');
    this.id = `group-balanced, groups ${digest.slice(0, 16)}`;
  }

  epoch(epoch: number): Uint32Array {
    const order = new Uint32Array(this.samplesPerEpoch);
    const groups = this.options.groupNames.length;
    const start = epoch * this.samplesPerEpoch;
    for (let group = 0; group < groups; group++) {
      // Slot s, counted from the run's start, is of group s mod G; it is the group's draw number ⌊s/G⌋.
      for (let slot = (((group - start) % groups) + groups) % groups, cycle = -1, images = new Uint32Array(0); slot < order.length; slot += groups) {
        const draw = Math.floor((start + slot) / groups);
        const size = this.lists.offsets[group + 1]! - this.lists.offsets[group]!;
        if (Math.floor(draw / size) !== cycle) {
          cycle = Math.floor(draw / size);
          images = this.cycleOrder(group, cycle);
        }
        order[slot] = images[draw % size]!;
      }
    }
    return order;
  }

  /** Images of a group in the order of its `cycle`-th showing. */
  private cycleOrder(group: number, cycle: number): Uint32Array<ArrayBuffer> {
    const { offsets, samples } = this.lists;
    const images = samples.slice(offsets[group], offsets[group + 1]);
    return new KeyedRandom(STREAM.groups, this.options.seed, group, cycle).shuffle(images);
  }
}
