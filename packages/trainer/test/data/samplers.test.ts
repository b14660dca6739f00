import { describe, expect, it } from 'vitest';
import { BalancedSampler, BatchLoader, GroupBalancedSampler, KeyedRandom, scanImageFolder, ShuffleSampler, type Sampler } from '../../dist/data/index.js';
import { imageFolder } from './fixtures.js';

/** Labels of a dataset with `counts[c]` images of identity c, mixed. */
function labelsOf(counts: readonly number[]): Uint32Array {
  const labels = Uint32Array.from(counts.flatMap((count, label) => new Array<number>(count).fill(label)));
  return new KeyedRandom(99).shuffle(labels);
}

function tally(values: Iterable<number>): Map<number, number> {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

const spread = (values: Iterable<number>): number => {
  const list = [...values];
  return Math.max(...list) - Math.min(...list);
};

/** P, K, images of each identity. */
const CASES: [string, number, number, number[]][] = [
  ['equal', 4, 3, [6, 6, 6, 6, 6, 6, 6, 6]],
  ['long tail', 5, 4, [40, 1, 2, 3, 9, 1, 1, 4, 5, 17, 2]],
  ['mostly single images', 3, 4, [1, 1, 1, 1, 2, 1, 1, 1, 1, 1]],
  ['every identity in a batch', 4, 2, [5, 3, 2, 9]],
  ['one identity a batch', 1, 5, [7, 5, 9]],
  ['one image of each', 6, 1, [2, 3, 4, 5, 6, 7, 8]],
  ['nearly every identity in a batch', 6, 2, [9, 9, 9, 9, 9, 9, 9]],
];

describe.each(CASES)('BalancedSampler, %s', (_name, identities, images, counts) => {
  const labels = labelsOf(counts);
  const make = (seed = 3) => new BalancedSampler({ labels, classes: counts.length, identities, images, seed });
  const sampler = make();
  const epochs = [0, 1, 2, 7].map((epoch) => sampler.epoch(epoch));

  it('fills every batch with P identities of K images, as different as the identity has', () => {
    for (const order of epochs) {
      expect(order).toHaveLength(sampler.samplesPerEpoch);
      expect(order.length % (identities * images)).toBe(0);
      for (let at = 0; at < order.length; at += identities * images) {
        const batch = [...order.subarray(at, at + identities * images)];
        const perIdentity = tally(batch.map((sample) => labels[sample]!));
        expect(perIdentity.size).toBe(identities);
        expect([...perIdentity.values()]).toEqual(new Array(identities).fill(images));
        for (let i = 0; i < batch.length; i += images) {
          const shown = batch.slice(i, i + images);
          const label = labels[shown[0]!]!;
          expect(shown.every((sample) => labels[sample] === label)).toBe(true);
          const times = tally(shown);
          expect(times.size).toBe(Math.min(images, counts[label]!));
          expect(spread(times.values())).toBeLessThanOrEqual(1);
        }
      }
    }
  });

  it('shows every identity, none more than once oftener than another, and images of one alike often', () => {
    for (const order of epochs) {
      const perIdentity = tally([...order].map((sample) => labels[sample]!));
      expect(perIdentity.size).toBe(counts.length);
      expect(spread(perIdentity.values())).toBeLessThanOrEqual(images);
      const perSample = tally(order);
      for (const [label, count] of counts.entries()) {
        const times = [...labels.keys()].filter((sample) => labels[sample] === label).map((sample) => perSample.get(sample) ?? 0);
        expect(times).toHaveLength(count);
        expect(spread(times)).toBeLessThanOrEqual(1);
      }
    }
    const batches = Math.max(Math.floor(labels.length / (identities * images)), Math.ceil(counts.length / identities));
    expect(sampler.samplesPerEpoch).toBe(batches * identities * images);
  });

  it('is a function of seed and epoch', () => {
    expect(make().epoch(7)).toEqual(epochs[3]);
    expect(epochs[0]).not.toEqual(epochs[1]);
    expect(make(4).epoch(0)).not.toEqual(epochs[0]);
  });
});

describe('BalancedSampler', () => {
  it('draws every identity first about as often as any other', () => {
    const sampler = new BalancedSampler({ labels: labelsOf([3, 3, 3, 3, 3]), classes: 5, identities: 2, images: 1, seed: 1 });
    const labels = labelsOf([3, 3, 3, 3, 3]);
    const firsts = tally(Array.from({ length: 1000 }, (_, epoch) => labels[sampler.epoch(epoch)[0]!]!));
    // Binomial(1000, 0.2): standard deviation 12.6.
    for (const count of firsts.values()) expect(Math.abs(count - 200)).toBeLessThan(51);
  });

  it.each([
    [{ identities: 4 }, 'sampler.identities: expected a whole number from 1 to 3 (the data have 3 identities), received 4'],
    [{ identities: 0 }, 'sampler.identities'],
    [{ images: 0 }, 'sampler.images'],
    [{ classes: 4 }, 'received none of identity 3'],
  ])('refuses %j', (change, message) => {
    const options = { labels: labelsOf([2, 2, 2]), classes: 3, identities: 2, images: 2, seed: 1, ...change };
    expect(() => new BalancedSampler(options)).toThrow(message);
  });
});

describe('GroupBalancedSampler', () => {
  const SIZES = [50, 7, 1];
  const groups = labelsOf(SIZES);
  const make = (batchSize: number, seed = 3) => new GroupBalancedSampler({ groups, groupNames: ['a', 'b', 'c'], batchSize, seed });

  it.each([1, 2, 5, 8, 9])('gives groups as many images as each other in each of the batches of %i and in all', (batchSize) => {
    const sampler = make(batchSize);
    expect(sampler.samplesPerEpoch).toBe(Math.floor(58 / batchSize) * batchSize);
    const all: number[] = [];
    for (let epoch = 0; epoch < 5; epoch++) {
      const order = sampler.epoch(epoch);
      all.push(...order);
      const shares = (samples: ArrayLike<number>) => {
        const counts = tally(Array.from(samples, (sample) => groups[sample]!));
        return spread([0, 1, 2].map((group) => counts.get(group) ?? 0));
      };
      for (let at = 0; at < order.length; at += batchSize) expect(shares(order.subarray(at, at + batchSize))).toBeLessThanOrEqual(1);
      expect(shares(all)).toBeLessThanOrEqual(1);
      // Every image once before any comes again, over the epochs too.
      const times = tally(all);
      for (const group of [0, 1, 2]) {
        const counts = [...groups.keys()].filter((sample) => groups[sample] === group).map((sample) => times.get(sample) ?? 0);
        expect(spread(counts)).toBeLessThanOrEqual(1);
      }
    }
  });

  it('is a function of seed and epoch, and its id tells groups apart', () => {
    expect(make(8).epoch(4)).toEqual(make(8).epoch(4));
    expect(make(8).epoch(4)).not.toEqual(make(8, 4).epoch(4));
    const other = new GroupBalancedSampler({ groups: labelsOf([49, 8, 1]), groupNames: ['a', 'b', 'c'], batchSize: 8, seed: 3 });
    expect(other.id).not.toBe(make(8).id);
    expect(make(8, 5).id).toBe(make(8).id);
  });

  it('refuses an empty group and too large a batch', () => {
    expect(() => new GroupBalancedSampler({ groups, groupNames: ['a', 'b', 'c', 'd'], batchSize: 8, seed: 1 })).toThrow('received none of d');
    expect(() => make(59)).toThrow('batchSize');
  });
});

it('ShuffleSampler shows every sample once', () => {
  const order = new ShuffleSampler(40, 1).epoch(3);
  expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i));
});

describe('BatchLoader with a sampler', () => {
  it.each(['balanced', 'group-balanced'])('%s: follows it, goes on as if never stopped, and refuses another one', async (kind) => {
    const dataset = scanImageFolder(await imageFolder(5, 4));
    const labels = dataset.samples.map(({ label }) => label);
    const sampler: Sampler =
      kind === 'balanced'
        ? new BalancedSampler({ labels, classes: 5, identities: 3, images: 2, seed: 7 })
        : new GroupBalancedSampler({ groups: labels.map((label) => Number(label > 3)), groupNames: ['many', 'few'], batchSize: 6, seed: 7 });
    const options = { dataset, sampler, batchSize: 6, imageSize: 16, seed: 7, workers: 1 };
    const loader = new BatchLoader(options);
    expect(loader.batchesPerEpoch).toBe(3);
    const batches = [];
    let state;
    for (let i = 0; i < 7; i++) {
      if (i === 4) state = JSON.parse(JSON.stringify(loader.state())) as ReturnType<BatchLoader['state']>;
      batches.push(await loader.next());
    }
    await loader.close();
    const order = [0, 1, 2].flatMap((epoch) => [...sampler.epoch(epoch)]);
    expect(batches.flatMap(({ indices }) => [...indices])).toEqual(order.slice(0, 42));
    expect(batches.flatMap((batch) => [...batch.labels])).toEqual(order.slice(0, 42).map((sample) => labels[sample]));

    expect(state).toMatchObject({ epoch: 1, position: 1, sampler: sampler.id });
    const resumed = new BatchLoader({ ...options, workers: 2, resume: state! });
    for (const expected of batches.slice(4)) expect(await resumed.next()).toEqual(expected);
    await resumed.close();

    expect(() => new BatchLoader({ ...options, sampler: undefined, resume: state! })).toThrow(`expected a state with sampler shuffle, received ${sampler.id}`);
    const { sampler: _sampler, ...shuffled } = state!;
    expect(() => new BatchLoader({ ...options, resume: shuffled })).toThrow('received shuffle');
  });
});
