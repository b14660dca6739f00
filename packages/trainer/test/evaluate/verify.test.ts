import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { contiguousFolds, rocCurve, thinCurve, verify } from '../../dist/evaluate/index.js';

interface ReferenceCase {
  name: string;
  folds: number;
  valFar: number;
  fars: number[];
  same: boolean[];
  similarities: number[];
  expected: {
    foldAccuracies: number[];
    foldThresholds: number[];
    accuracyMean: number;
    accuracyStd: number;
    valMean: number;
    valStd: number;
    valFarMean: number;
    auc: number;
    eer: number;
    tarAtFar: number[];
  };
}

/** Written by reference/make_expected.py (NumPy, independent of this code). */
const cases = JSON.parse(
  readFileSync(new URL('./reference/expected.json', import.meta.url), 'utf8'),
) as ReferenceCase[];

describe.each(cases)('against NumPy: $name', ({ similarities, same, folds, valFar, fars, expected }) => {
  const result = verify(similarities, same, contiguousFolds(same.length, folds), { valFar, fars });

  it('accuracy and threshold of every fold', () => {
    result.accuracy.folds.forEach((fold, f) => {
      expect(fold.accuracy).toBeCloseTo(expected.foldAccuracies[f]!, 12);
      expect(fold.thresholdSquaredDistance).toBeCloseTo(expected.foldThresholds[f]!, 12);
    });
    expect(result.accuracy.folds).toHaveLength(folds);
    expect(result.accuracy.mean).toBeCloseTo(expected.accuracyMean, 12);
    expect(result.accuracy.std).toBeCloseTo(expected.accuracyStd, 12);
  });

  it('VAL@FAR', () => {
    expect(result.val.mean).toBeCloseTo(expected.valMean, 12);
    expect(result.val.std).toBeCloseTo(expected.valStd, 12);
    expect(result.val.farMean).toBeCloseTo(expected.valFarMean, 12);
  });

  it('AUC, EER, TAR@FAR', () => {
    expect(result.auc).toBeCloseTo(expected.auc, 12);
    expect(result.eer).toBeCloseTo(expected.eer, 12);
    result.tarAtFar.forEach((entry, i) => {
      if (entry.tar !== null) expect(entry.tar).toBeCloseTo(expected.tarAtFar[i]!, 12);
      else expect(result.differentPairs).toBeLessThan(1 / entry.far);
    });
  });
});

const alternating = (n: number) => Array.from({ length: n }, (_, i) => i % 2 === 0);

describe('cases with a known answer', () => {
  it('perfect separation', () => {
    const same = alternating(40);
    const result = verify(
      same.map((s, i) => (s ? 0.9 : -0.2) + i * 1e-4),
      same,
    );
    expect(result.accuracy).toMatchObject({ mean: 1, std: 0 });
    expect(result).toMatchObject({ auc: 1, eer: 0, samePairs: 20, differentPairs: 20 });
    expect(result.val.mean).toBe(1);
    expect(result.tarAtFar[0]).toMatchObject({ far: 0.1, tar: 1, measuredFar: 0.1 });
  });

  it('perfectly wrong: the threshold that accepts nothing is chosen, half are right', () => {
    const same = alternating(40);
    const result = verify(
      same.map((s) => (s ? -0.5 : 0.5)),
      same,
    );
    expect(result).toMatchObject({ auc: 0, eer: 1 });
    expect(result.accuracy.mean).toBe(0.5);
    expect(result.tarAtFar[0]!.tar).toBe(0);
  });

  it('all scores equal: chance, whatever the order of the pairs', () => {
    for (const same of [alternating(40), alternating(40).reverse()]) {
      const result = verify(new Array(40).fill(0.25), same);
      expect(result.auc).toBe(0.5);
      expect(result.eer).toBe(0.5);
      expect(result.accuracy.mean).toBe(0.5);
      expect(result.roc.far).toEqual([0, 1]);
      expect(result.tarAtFar[0]!.tar).toBe(0);
    }
  });

  it('a tie between a same and a different pair counts half', () => {
    const curve = rocCurve([0.9, 0.5, 0.5, 0.1], [true, true, false, false]);
    expect(curve).toEqual({ thresholds: [Infinity, 0.9, 0.5, 0.1], far: [0, 0, 0.5, 1], tar: [0, 0.5, 1, 1] });
    const result = verify([0.9, 0.5, 0.5, 0.1, 0.9, 0.1], [true, true, false, false, true, false], [0, 0, 0, 0, 1, 1]);
    // 9 (same, different) comparisons: 8 won, one tied.
    expect(result.auc).toBeCloseTo(8.5 / 9, 14);
  });

  it('says when a FAR needs more different pairs than there are', () => {
    const same = alternating(400);
    const result = verify(
      same.map((s, i) => (s ? 0.8 : 0.1) + i * 1e-5),
      same,
    );
    expect(result.tarAtFar.map((entry) => entry.tar)).toEqual([1, 1, null, null]);
    expect(result.tarAtFar[3]!.note).toBe('needs at least 10000 different pairs, has 200');
  });

  it('judges a fold only by the threshold of the others', () => {
    // Fold 1 alone would choose a threshold between 0.2 and 0.3; the others choose one below 0.8.
    const similarities = [0.9, 0.3, 0.2, 0.3, 0.9, 0.1];
    const same = [true, false, false, true, true, false];
    const [, fold] = verify([...similarities, 0.9, 0.4], [...same, true, false], [0, 0, 1, 1, 2, 2, 3, 3]).accuracy
      .folds;
    expect(fold).toMatchObject({ fold: 1, pairs: 2, accuracy: 0.5 });
    expect(fold!.thresholdSquaredDistance).toBeLessThan(2 - 2 * 0.4);
  });
});

describe('bad input', () => {
  const same = alternating(40);
  const good = same.map((s) => (s ? 0.9 : 0.1));
  it.each([
    ['one kind of pair', () => verify(good, new Array(40).fill(true)), /E_RANGE: pairs: .*40 same and 0 different/],
    [
      'a fold of one kind',
      () => verify(good, same, same.map(Number)),
      /E_RANGE: folds: .*only different pairs in fold 0/,
    ],
    ['one fold', () => verify(good, same, new Array(40).fill(0)), /E_RANGE: folds: expected at least two/],
    ['a length that differs', () => verify(good.slice(1), same), /E_SHAPE: same/],
    ['folds of another length', () => verify(good, same, [1, 2]), /E_SHAPE: folds: expected 40 numbers, received 2/],
    ['NaN', () => verify([NaN, ...good.slice(1)], same), /E_NONFINITE: similarities\[0\]/],
    ['a cosine beyond 1', () => verify([1.1, ...good.slice(1)], same), /E_RANGE: similarities\[0\]/],
    ['FAR of zero', () => verify(good, same, undefined, { fars: [0] }), /E_RANGE: far/],
  ])('%s', (_, act, message) => expect(act).toThrow(message));
});

it('contiguousFolds gives the first folds the remainder', () => {
  expect(contiguousFolds(7, 3)).toEqual([0, 0, 0, 1, 1, 2, 2]);
});

it('a thinned curve keeps its ends and only true points', () => {
  const n = 5000;
  const labels = alternating(n);
  const curve = rocCurve(
    Array.from({ length: n }, (_, i) => Math.sin(i * 12.9898) * 0.7 + (labels[i] ? 0.2 : 0)),
    labels,
  );
  const thin = thinCurve(curve, 200);
  expect(thin.far.length).toBeLessThanOrEqual(200);
  expect(thin.far.length).toBeGreaterThan(50);
  expect([thin.far[0], thin.tar[0], thin.far.at(-1), thin.tar.at(-1)]).toEqual([0, 0, 1, 1]);
  const points = new Set(curve.far.map((far, i) => `${far} ${curve.tar[i]}`));
  expect(thin.far.every((far, i) => points.has(`${far} ${thin.tar[i]}`))).toBe(true);
});
