import { describe, expect, it } from 'vitest';
import type { NegativeRule } from '../../dist/margin.js';
import type { ReferenceRule, ReferenceStep } from '../../dist/reference/index.js';
import { centerGradient, classCosine, forward, negativeValue, unit } from '../../dist/reference/index.js';
import { circleNegatives, curricular, interClassFilter, mvAdaptive, mvFixed } from '../contract/negative-rules.js';
import type { Problem } from './support.js';
import { expectClose, expectTrueGradients, finiteDifferences, NORMFACE, placeAtAngle, problem } from './support.js';

const DIM = 4;
/** Of small scale: central differences of a loss as steep as s = 64 have no digits to spare. */
const PLAIN: ReferenceRule = { ...NORMFACE, scale: 6, fallback: 'none' };
const FAMILIES: Record<string, ReferenceRule> = {
  ...Object.fromEntries(
    (['hard', 'easy', 'none', 'clip'] as const).map((fallback) => [
      fallback,
      { ...PLAIN, m1: 1.1, m2: 0.4, m3: 0.1, fallback },
    ]),
  ),
  SphereFace: { ...PLAIN, family: 'sphere', m1: 4 },
  'SphereFace, m 1.7': { ...PLAIN, family: 'sphere', m1: 1.7 },
  'X2-Softmax': { ...PLAIN, family: 'quadratic', m1: 0.9, m2: 0.1, m3: -0.65 },
  circle: { ...PLAIN, family: 'circle', m2: 0.25 },
};
/** Rules whose slope is the true derivative of their value. */
const NEGATIVES: Record<string, NegativeRule | undefined> = {
  none: undefined,
  'curricular 0.3': curricular(0.3),
  'MV adaptive 1.12': mvAdaptive(1.12),
  'MV fixed 1.12': mvFixed(1.12),
  'filter 0.4': interClassFilter(0.4),
  'circle 0.25': circleNegatives(0.25, 'exact'),
};

/** Samples at angles on every piece of every target logit, none at a joint. */
function onEveryPiece(rule: ReferenceRule, seed = 41): Problem {
  const made = problem(seed, 6, 7, DIM, rule);
  [0.3, 1.2, 1.75, 2.4, 2.8, 3.1].forEach((theta, i) => placeAtAngle(made, i, theta));
  return made;
}

const thresholdOf = (step: ReferenceStep, i: number) => {
  const threshold = step.batch.rule.negatives?.threshold ?? 0;
  return threshold === 'target' ? step.targetThreshold[i]! : threshold;
};

/** How far every negative's cosine stands above (> 0) or below its threshold. */
function distances(step: ReferenceStep): number[] {
  return step.shards.flatMap(({ negatives }) =>
    negatives.flatMap((ofSample, i) => ofSample.map(({ cosine }) => cosine - thresholdOf(step, i))),
  );
}

describe.each(Object.entries(NEGATIVES))('finite differences, negatives %s', (_, negatives) => {
  describe.each(Object.entries(FAMILIES))('%s', (_, family) => {
    it.each([1, 0.35])('blend %s', (blend) => {
      const made = onEveryPiece({ ...family, blend, ...(negatives && { negatives }) });
      const above = distances(forward([made.centers], made.batch));
      expect(Math.min(...above.map(Math.abs))).toBeGreaterThan(1e-3);
      expect(above.some((d) => d > 0) && above.some((d) => d < 0)).toBe(true);
      expectTrueGradients(made);
    });
  });
});

describe('a negative rule with', () => {
  const rule: ReferenceRule = { ...PLAIN, m2: 0.4, fallback: 'hard', negatives: curricular(0.3) };

  it('K = 3 sub-centres', () => expectTrueGradients(problem(42, 5, 4, DIM, rule, 3)));
  it('partial FC', () => expectTrueGradients(problem(43, 3, 9, DIM, rule), [0, 1, 2, 5, 8]));
  it('per-sample parameters, which move the threshold', () => {
    const { centers, batch } = problem(44, 3, 9, DIM, rule);
    const rowParameters = [6, 1, 0.5, 0, 4, 1.1, 0.3, 0.2, 8, 0.9, -0.1, 0.4];
    expectTrueGradients({ centers, batch: { ...batch, rowParameters } });
    const step = forward([centers], { ...batch, rowParameters });
    const thetas = Array.from(step.targetCosine, Math.acos);
    const expected = thetas.map((theta, i) => Math.cos(rowParameters[4 * i + 1]! * theta + rowParameters[4 * i + 2]!));
    expectClose(
      step.targetThreshold,
      expected.map((cosine, i) => cosine - rowParameters[4 * i + 3]!),
      1e-12,
    );
  });

  it('shards, one of which knows the sample’s threshold', () => {
    const { centers, batch } = problem(45, 6, 7, DIM, rule, 2);
    const whole = forward([centers], batch);
    const cut = 3 * 2 * DIM;
    const shards = [
      { ...centers, classes: 3, weights: centers.weights.slice(0, cut) },
      { ...centers, classes: 4, firstClass: 3, weights: centers.weights.slice(cut) },
    ];
    const step = forward(shards, batch);
    expectClose(step.sampleLoss, whole.sampleLoss, 1e-12);
    expectClose(step.embeddingGradient, whole.embeddingGradient, 1e-12);
    expectClose(step.rowGradient, whole.rowGradient, 1e-12);
    const gradients = shards.flatMap((shard, h) => [...centerGradient(shard, [step], h)]);
    expectClose(gradients, centerGradient(centers, [whole]), 1e-12);
  });

  it('bf16 operands compares and weighs the cosines of those operands', () => {
    const { centers, batch } = problem(46, 5, 7, DIM, rule);
    const [exact, rounded] = [forward([centers], batch), forward([{ ...centers, operands: 'bf16' }], batch)];
    expect(rounded.targetThreshold).toEqual(exact.targetThreshold);
    rounded.shards[0]!.negatives.forEach((ofSample, i) =>
      ofSample.forEach(({ cosine, logit, derivative }, n) => {
        expect(cosine).not.toBe(exact.shards[0]!.negatives[i]![n]!.cosine);
        const { value, slope } = negativeValue(cosine, exact.targetThreshold[i]!, rule.negatives);
        expectClose([logit, derivative], [6 * value, 6 * slope], 1e-15);
      }),
    );
  });
});

/**
 * The mean loss as a function of embeddings and centres when every cosine c stands for `logit0 + derivative·(c − c0)`: where code detaches
 * a weight from the gradient, this is the loss that it back-propagates at (c0).
 */
function linearLoss(
  { centers, batch }: Problem,
  target: (i: number) => { logit: number; derivative: number },
  negative: (c: number, i: number) => { logit: number; derivative: number },
): (embeddings: Float64Array, weights: Float64Array) => number {
  const cosinesOf = (embeddings: Float64Array, weights: Float64Array) =>
    Array.from(batch.labels, (_, i) =>
      Array.from({ length: centers.classes }, (_, j) => {
        const [x, w] = [embeddings, weights].map((all, n) => unit(all.slice([i, j][n]! * DIM, ([i, j][n]! + 1) * DIM)));
        return classCosine(x!, [w!]).cosine;
      }),
    );
  const at = cosinesOf(batch.embeddings, centers.weights);
  return (embeddings, weights) => {
    const losses = cosinesOf(embeddings, weights).map((cosines, i) => {
      const label = batch.labels[i]!;
      const logits = cosines.map((c, j) => {
        const { logit, derivative } = j === label ? target(i) : negative(at[i]![j]!, i);
        return logit + derivative * (c - at[i]![j]!);
      });
      return Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0)) - logits[label]!;
    });
    return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  };
}

describe('detached weights: the gradient of the loss whose weights stand still', () => {
  function expectDetached(
    made: Problem,
    ...weights: [Parameters<typeof linearLoss>[1], Parameters<typeof linearLoss>[2]]
  ) {
    const { centers, batch } = made;
    const step = forward([centers], batch);
    const loss = linearLoss(made, ...weights);
    expect(loss(batch.embeddings, centers.weights)).toBeCloseTo(step.loss, 12);
    const byX = finiteDifferences((x) => loss(x, centers.weights), batch.embeddings);
    const byW = finiteDifferences((w) => loss(batch.embeddings, w), centers.weights);
    expectClose(step.embeddingGradient, byX, 1e-7);
    expectClose(centerGradient(centers, [step]), byW, 1e-7);
    return step;
  }

  it('Circle loss: α_p = 1 + m − c, α_n = max(0, c + m)', () => {
    const [m, gamma] = [0.25, 6];
    const negatives = circleNegatives(m, 'detached');
    const made = onEveryPiece({ ...FAMILIES['circle']!, gradient: 'straight-through', negatives });
    const { targetCosine } = forward([made.centers], made.batch);
    const step = expectDetached(
      made,
      (i) => {
        const weight = 1 + m - targetCosine[i]!;
        return { logit: gamma * weight * (targetCosine[i]! - (1 - m)), derivative: gamma * weight };
      },
      (c) => ({ logit: gamma * Math.max(0, c + m) * (c - m), derivative: gamma * Math.max(0, c + m) }),
    );
    const exact = forward([made.centers], {
      ...made.batch,
      rule: { ...FAMILIES['circle']!, negatives: circleNegatives(m, 'exact') },
    });
    expect(exact.loss).toBe(step.loss);
    expect(
      Math.max(...exact.embeddingGradient.map((g, e) => Math.abs(g - step.embeddingGradient[e]!))),
    ).toBeGreaterThan(1e-2);
  });

  it.each(Object.entries(FAMILIES).filter(([name]) => name !== 'circle'))(
    'straight-through %s, blended',
    (_, family) => {
      const made = onEveryPiece({ ...family, gradient: 'straight-through', blend: 0.35 });
      const { targetLogits } = forward([made.centers], made.batch);
      expectDetached(
        made,
        (i) => ({ logit: targetLogits[i]!, derivative: 6 }),
        (c) => ({ logit: 6 * c, derivative: 6 }),
      );
    },
  );
});

describe('limits', () => {
  const expectEqual = (a: Problem, b: Problem, tolerance: number) => {
    const [one, other] = [forward([a.centers], a.batch), forward([b.centers], b.batch)];
    expectClose(one.sampleLoss, other.sampleLoss, tolerance);
    expectClose(one.embeddingGradient, other.embeddingGradient, tolerance);
    expectClose(centerGradient(a.centers, [one]), centerGradient(b.centers, [other]), tolerance);
  };

  it('w = 0 is NormFace, whatever the family', () => {
    for (const family of Object.values(FAMILIES)) {
      expectEqual(onEveryPiece({ ...family, blend: 0 }), onEveryPiece(PLAIN), 1e-12);
    }
  });

  it('vanishing margins give NormFace', () => {
    for (const fallback of ['hard', 'easy', 'none', 'clip'] as const) {
      expectEqual(onEveryPiece({ ...PLAIN, m2: 1e-7, m3: 1e-7, fallback }), onEveryPiece(PLAIN), 1e-5);
    }
    expectEqual(onEveryPiece({ ...PLAIN, family: 'sphere', m1: 1 }), onEveryPiece(PLAIN), 1e-12);
  });

  it('a rule that leaves every cosine as it is gives the plain head; only the gradient of s is not formed', () => {
    for (const threshold of ['target', 0.1] as const) {
      const identity = { value: [0, 1, 0], slope: [1, 0] } as const;
      const negatives = { threshold, above: identity, below: identity };
      expectEqual(onEveryPiece({ ...FAMILIES['hard']!, negatives }), onEveryPiece(FAMILIES['hard']!), 0);
    }
  });

  it('with no negative above the threshold every rule is the plain head', () => {
    // Near matches: targets of cosine 1 and negatives far below.
    const near = (rule: ReferenceRule) => {
      const made = problem(47, 5, 7, DIM, rule);
      [0, 1, 2, 3, 4].forEach((i) => placeAtAngle(made, i, 0.01));
      return made;
    };
    const plain = { ...PLAIN, m2: 0.2, fallback: 'hard' as const };
    for (const negatives of [curricular(0.3), mvAdaptive(1.12), mvFixed(1.12), interClassFilter(1)]) {
      const made = near({ ...plain, negatives });
      expect(Math.max(...distances(forward([made.centers], made.batch)))).toBeLessThan(0);
      expectEqual(made, near(plain), 0);
    }
  });

  it('K equal sub-centres are the plain head, with a negative rule too', () => {
    const made = onEveryPiece({ ...FAMILIES['hard']!, negatives: curricular(0.3) });
    const rows = Array.from({ length: 7 }, (_, j) => made.centers.weights.slice(DIM * j, DIM * (j + 1)));
    const weights = Float64Array.from(rows.flatMap((w) => [...w, ...w]));
    const [one, two] = [
      forward([made.centers], made.batch),
      forward([{ ...made.centers, subCenters: 2, weights }], made.batch),
    ];
    expectClose(two.sampleLoss, one.sampleLoss, 0);
    expectClose(two.embeddingGradient, one.embeddingGradient, 0);
    expectClose(two.rowGradient, one.rowGradient, 0);
  });

  it('MV-Softmax with t = 1 is the plain head', () => {
    expectEqual(
      onEveryPiece({ ...FAMILIES['hard']!, negatives: mvAdaptive(1) }),
      onEveryPiece(FAMILIES['hard']!),
      1e-15,
    );
    expectEqual(onEveryPiece({ ...FAMILIES['hard']!, negatives: mvFixed(1) }), onEveryPiece(FAMILIES['hard']!), 1e-15);
  });
});

describe('N(c)', () => {
  it('takes the upper branch above the threshold alone, not at it', () => {
    const rule = interClassFilter(0.4);
    expect(negativeValue(0.4, NaN, rule)).toEqual({ value: 0.4, slope: 1 });
    expect(negativeValue(0.4000001, NaN, rule)).toEqual({ value: 0, slope: 0 });
    expect(negativeValue(0.5, 0.5, curricular(0.3)).value).toBe(0.5);
    expect(negativeValue(0.5, 0.4999, curricular(0.3)).value).toBeCloseTo(0.5 * 0.8, 15);
  });
});
