import { describe, expect, it } from 'vitest';
import { countFrom, nearestTar, scoreAuc, sortScores, strictTar } from '../../dist/evaluate/tarRules.js';

const descending = (...scores: number[]) => sortScores('scores', Float64Array.from(scores));

describe('TAR at FAR', () => {
  // Points (false, true) falling: 9 (0, 1); 8 (1, 1); 7 (2, 1); 6 (3, 1); 5 (3, 2); 4 (5, 3) by a tie of three.
  const genuine = descending(9, 5, 4);
  const impostor = descending(8, 7, 6, 4, 4);

  it('by the nearest rule is that of scikit-learn’s points', () => {
    const far = (target: number) => nearestTar(genuine, impostor, [target])[0]!;
    // The steps into and out of 8 and 7 are alike, so both are dropped: 0.2 is nearest to FAR 0, although 8 has 0.2 itself.
    expect(far(0.2)).toMatchObject({ tar: 1 / 3, measuredFar: 0, threshold: 9 });
    // 0 and 0.6 are equally near: the larger FAR, and of its two points the larger TAR.
    expect(far(0.3)).toMatchObject({ tar: 2 / 3, measuredFar: 0.6, threshold: 5 });
    expect(far(1)).toMatchObject({ tar: 1, measuredFar: 1, threshold: 4 });
    expect(far(0.01)).toMatchObject({
      tar: 1 / 3,
      measuredFar: 0,
      threshold: 9,
      note: 'needs at least 100 impostor scores, has 5',
    });
  });

  it('by the strict rule never passes the FAR, and counts ties whole', () => {
    const far = (target: number) => strictTar(genuine, impostor, [target])[0]!;
    expect(far(0.2)).toMatchObject({ tar: 1 / 3, measuredFar: 0.2, threshold: 8 });
    expect(far(0.39)).toMatchObject({ tar: 1 / 3, measuredFar: 0.2, threshold: 8 });
    expect(far(0.6)).toMatchObject({ tar: 2 / 3, measuredFar: 0.6, threshold: 5 });
    // Four of five would need half of a tie.
    expect(far(0.8)).toMatchObject({ tar: 2 / 3, measuredFar: 0.6, threshold: 5 });
    expect(far(1)).toMatchObject({ tar: 1, measuredFar: 1, threshold: 4 });
    expect(far(0.1)).toMatchObject({ tar: null, threshold: null, note: 'needs at least 10 impostor scores, has 5' });
  });

  it('by the strict rule needs the largest impostor scores only', () => {
    const all = sortScores(
      'impostor',
      Float64Array.from({ length: 5000 }, (_, i) => ((i * 7919) % 4999) / 5000),
    );
    const some = descending(0.999, 0.99, 0.9, 0.4);
    for (const far of [1e-3, 5e-3, 0.01]) {
      expect(strictTar(some, all.slice(0, Math.floor(5000 * far) + 1), [far], 5000)).toEqual(
        strictTar(some, all, [far]),
      );
    }
  });

  it('accepts none where the best impostor scores are too many alike', () => {
    const tied = descending(1, 1, 1, 0.5);
    expect(strictTar(descending(0.9, 0.8), tied, [0.25])[0]).toEqual({
      far: 0.25,
      tar: 0,
      measuredFar: 0,
      threshold: null,
    });
  });

  it('has the area of the Mann–Whitney statistic', () => {
    let above = 0;
    for (const g of genuine) for (const i of impostor) above += g > i ? 1 : g === i ? 0.5 : 0;
    expect(scoreAuc(genuine, impostor)).toBeCloseTo(above / 15, 15);
  });

  it('refuses scores that are none, and FARs outside (0, 1]', () => {
    expect(() => descending()).toThrow('E_RANGE: scores: expected at least one score');
    expect(() => descending(1, NaN)).toThrow('E_NONFINITE: scores[1]');
    for (const rule of [nearestTar, strictTar]) expect(() => rule(genuine, impostor, [0])).toThrow('E_RANGE: fars');
  });

  it('counts by halves', () => {
    expect(countFrom(impostor, 4)).toBe(5);
    expect(countFrom(impostor, 4, true)).toBe(3);
    expect(countFrom(impostor, 9)).toBe(0);
  });
});
