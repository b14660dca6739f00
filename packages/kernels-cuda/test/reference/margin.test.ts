import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ReferenceRule } from '../../dist/reference/index.js';
import { targetLogit } from '../../dist/reference/index.js';
import { ARCFACE } from './support.js';

const unscaled: ReferenceRule = { ...ARCFACE, scale: 1 };
const atCosine = (cosine: number, rule: ReferenceRule) => targetLogit(cosine, Math.sqrt(1 - cosine ** 2), rule).logit;
const atAngle = (theta: number, rule: ReferenceRule) => targetLogit(Math.cos(theta), Math.sin(theta), rule);

describe('published fallback values, m = 0.5, unscaled', () => {
  // Read off the running code of pytorch-metric-learning (hard), MagFace (easy), arcface_torch (none), AdaFace (clip).
  it.each([
    ['hard', -1.139713, -1.229713],
    ['easy', -0.9, -0.99],
    ['none', -0.998801, -0.936438],
    ['clip', -1.0, -1.0],
  ] as const)('%s', (fallback, at90, at99) => {
    const rule = { ...unscaled, fallback };
    expect(atCosine(-0.9, rule)).toBeCloseTo(at90, 6);
    expect(atCosine(-0.99, rule)).toBeCloseTo(at99, 6);
  });
});

describe('the slope is the derivative with respect to the cosine, times sinθ', () => {
  const rules: ReferenceRule[] = (['hard', 'easy', 'none', 'clip'] as const).flatMap((fallback) => [
    { ...ARCFACE, fallback },
    { ...ARCFACE, fallback, m1: 1.35, m2: 0.3, m3: 0.2 },
    { ...ARCFACE, fallback, m1: 0.9, m2: -0.2, m3: -0.1 },
    { ...ARCFACE, fallback, m1: 2.5, m2: 0 },
  ]);
  it.each(rules)('$fallback m1 = $m1 m2 = $m2', (rule) => {
    const step = 1e-6;
    const bound = (Math.PI - rule.m2) / rule.m1;
    const kinks = [bound, Math.PI / 2, -rule.m2 / rule.m1];
    let checked = 0;
    for (let theta = 0.005; theta < Math.PI; theta += 0.01) {
      if (kinks.some((kink) => Math.abs(theta - kink) < 1e-3)) continue;
      const difference = (atAngle(theta + step, rule).logit - atAngle(theta - step, rule).logit) / (2 * step);
      // dT/dθ = −dT/dc·sinθ
      expect(-difference, `θ = ${theta}`).toBeCloseTo(atAngle(theta, rule).slope, 5);
      checked++;
    }
    expect(checked).toBeGreaterThan(300);
  });

  it('straight-through: dT/dc is the scale, whatever the angle and fallback', () => {
    for (const fallback of ['hard', 'easy', 'none', 'clip'] as const) {
      const rule = { ...ARCFACE, fallback, gradient: 'straight-through' as const };
      for (const theta of [0, 1e-3, 1, 2, 3, Math.PI]) {
        expect(atAngle(theta, rule).slope).toBe(rule.scale * Math.sin(theta));
        expect(atAngle(theta, rule).logit).toBe(atAngle(theta, { ...rule, gradient: 'exact' }).logit);
      }
    }
  });
});

describe('limits', () => {
  it('with no margin every rule is the scaled cosine', () => {
    for (const fallback of ['hard', 'easy', 'none'] as const) {
      for (const cosine of [-1, -0.5, 0, 0.3, 1]) {
        expect(atCosine(cosine, { ...ARCFACE, m2: 0, fallback })).toBeCloseTo(16 * cosine, 12);
      }
    }
  });

  it('the additive cosine margin is CosFace', () => {
    expect(atCosine(0.25, { ...ARCFACE, m2: 0, m3: 0.35 })).toBeCloseTo(16 * (0.25 - 0.35), 12);
  });

  it('hard with m1 = 1 is the published cosθ − m·sin m', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.05, max: 1.5, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (m, u) => {
          const theta = Math.PI - m * u * 0.999;
          const expected = Math.cos(theta) - m * Math.sin(m);
          expect(atAngle(theta, { ...unscaled, m2: m }).logit).toBeCloseTo(expected, 12);
        },
      ),
    );
  });

  it('hard falls in θ all the way to π, where cos φ turns back', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 3.1, noNaN: true }),
        fc.double({ min: 1e-3, max: 0.04, noNaN: true }),
        (theta, ahead) => {
          expect(atAngle(theta + ahead, ARCFACE).logit).toBeLessThan(atAngle(theta, ARCFACE).logit);
        },
      ),
    );
    const none = { ...ARCFACE, fallback: 'none' as const };
    expect(atAngle(3.1, none).logit).toBeGreaterThan(atAngle(2.8, none).logit);
  });
});
