import { describe, expect, it } from 'vitest';
import { KeyedRandom } from '../../../dist/data/keyedRandom.js';
import {
  checkTarget,
  listsForRecall,
  measureRecall,
  recallFigure,
  wilson,
} from '../../../dist/evaluate/search/approximate/recall.js';

const Z = 1.959963984540054;

describe('wilson', () => {
  it.each([
    [0.5, 10],
    [0.9, 50],
    [0.997, 500],
    [0.02, 7],
  ])('has as its ends the means of which %d of %i is 1.96 deviations off', (mean, count) => {
    const { low, high } = wilson(mean, count);
    for (const end of [low, high]) {
      expect(Math.abs(mean - end) / Math.sqrt((end * (1 - end)) / count)).toBeCloseTo(Z, 9);
    }
    expect(low).toBeLessThan(mean);
    expect(high).toBeGreaterThan(mean);
  });

  it('has an end of 0 or 1 where nothing or everything was found', () => {
    expect(wilson(1, 500)).toEqual({ low: expect.closeTo(500 / (500 + Z * Z), 12) as number, high: 1 });
    expect(wilson(0, 500).low).toBeCloseTo(0, 15);
    expect(wilson(0, 500).high).toBeCloseTo((Z * Z) / (500 + Z * Z), 12);
  });

  it('covers the mean of shares of ten whose parts go together, at least as often as it says', () => {
    // A probe finds all of its ten or, nearly as often, a part: anything between independent neighbours and one draw for all ten.
    const random = new KeyedRandom(3, 1);
    const mean = 0.7 + 0.3 * 0.45;
    let covered = 0;
    for (let trial = 0; trial < 2000; trial++) {
      let found = 0;
      for (let i = 0; i < 200; i++) found += random.chance(0.7) ? 10 : random.integer(10);
      const { low, high } = wilson(found / 2000, 200);
      if (low <= mean && mean <= high) covered += 1;
    }
    // Three deviations of 2,000 trials below 95%.
    expect(covered / 2000).toBeGreaterThan(0.935);
  });
});

describe('recall', () => {
  it('counts rows by number, to each depth', () => {
    const exact = Int32Array.of(1, 2, 3, 4, 5, 6);
    const found = Int32Array.of(2, 1, 9, 4, 8, 5);
    expect(measureRecall(found, exact, 3, 1, 2)).toMatchObject({ k: 1, recall: 0.5, checked: 2, probes: 2 });
    expect(measureRecall(found, exact, 3, 2, 2).recall).toBe(0.75);
    expect(measureRecall(found, exact, 3, 3, 2)).toMatchObject({ recall: 4 / 6, low: 4 / 6, high: 4 / 6 });
    expect(measureRecall(found, exact, 3, 3, 9)).toEqual({
      ...{ k: 3, recall: 4 / 6, checked: 2, probes: 9 },
      ...wilson(4 / 6, 2),
    });
  });

  it('chooses the fewest lists whose lower bound reaches the target, as trying each does', () => {
    const random = new KeyedRandom(4, 1);
    for (let round = 0; round < 200; round++) {
      const [checked, k, lists] = [1 + random.integer(60), 1 + random.integer(5), 1 + random.integer(20)];
      const needed = Int32Array.from({ length: checked * k }, () => 1 + random.integer(lists));
      const probes = random.chance(0.5) ? checked : checked + 1;
      const target = random.uniform(0, recallFigure(k, 1, checked, probes).low);
      let expected = 1;
      const lowAt = (count: number) => {
        const mean = needed.filter((at) => at <= count).length / needed.length;
        return recallFigure(k, mean, checked, probes).low;
      };
      // A list that leads nowhere is not taken.
      while (lowAt(expected) < target || !needed.includes(expected)) expected += 1;
      expect(listsForRecall(needed, k, target, probes)).toBe(expected);
    }
  });

  it('says how many probes a target takes', () => {
    checkTarget(0.99, 381, 1e6);
    expect(() => checkTarget(0.99, 380, 1e6)).toThrow('check 381 of the 1000000 probes');
    checkTarget(1, 20, 20);
    expect(() => checkTarget(1, 20, 21)).toThrow('check 21 of the 21 probes');
  });
});
