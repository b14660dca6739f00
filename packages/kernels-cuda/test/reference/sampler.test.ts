import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sampleClasses } from '../../dist/reference/index.js';

/** Written by vectors/make_vectors.py, a second implementation. */
interface FrozenSample {
  classes: number;
  firstClass: number;
  labels: number[];
  rate: number;
  seed: string;
  step: string;
  shard: number;
  sampled: number[];
}
const frozen = JSON.parse(readFileSync(new URL('../vectors/sampler.json', import.meta.url), 'utf8')) as FrozenSample[];

describe('sampler', () => {
  it.each(frozen)('frozen output: $classes classes at $rate, step $step, shard $shard', (sample) => {
    const request = { ...sample, seed: BigInt(sample.seed), step: BigInt(sample.step) };
    expect(Array.from(sampleClasses(request))).toEqual(sample.sampled);
  });

  it('draws every positive, the stated count, no class twice, in order', () => {
    const requests = fc.record({
      classes: fc.integer({ min: 1, max: 60 }),
      firstClass: fc.integer({ min: 0, max: 20 }),
      labels: fc.array(fc.integer({ min: 0, max: 90 }), { maxLength: 12 }),
      rate: fc.double({ min: 0.001, max: 1, noNaN: true }),
      seed: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      step: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      shard: fc.integer({ min: 0, max: 7 }),
    });
    fc.assert(
      fc.property(requests, (request) => {
        const sampled = Array.from(sampleClasses(request));
        const positives = [...new Set(request.labels.map((label) => label - request.firstClass))].filter(
          (local) => local >= 0 && local < request.classes,
        );
        expect(sampled).toEqual(expect.arrayContaining(positives));
        expect(sampled).toEqual([...new Set(sampled)].sort((a, b) => a - b));
        expect(sampled.every((j) => j >= 0 && j < request.classes)).toBe(true);
        const quota = Math.max(1, Math.floor(request.rate * request.classes + 0.5));
        expect(sampled.length).toBe(Math.max(positives.length, quota));
      }),
    );
  });

  it('draws each negative about as often as any other', () => {
    const counts = new Array<number>(20).fill(0);
    const steps = 2000;
    for (let step = 0; step < steps; step++) {
      const request = { classes: 20, firstClass: 0, labels: [], rate: 0.25, seed: 11n, step: BigInt(step), shard: 0 };
      for (const j of sampleClasses(request)) counts[j]++;
    }
    // Five standard errors of a binomial(2000, 1/4).
    for (const count of counts) expect(Math.abs(count - steps / 4)).toBeLessThan(5 * Math.sqrt((steps * 3) / 16));
  });
});
