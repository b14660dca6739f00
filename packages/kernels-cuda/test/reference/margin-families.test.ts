import { describe, expect, it } from 'vitest';
import type { ReferenceRule } from '../../dist/reference/index.js';
import { targetLogit, targetThreshold } from '../../dist/reference/index.js';
import { expectClose, NORMFACE } from './support.js';

const SPHERE: ReferenceRule = { ...NORMFACE, fallback: 'none', family: 'sphere', m1: 4 };
const QUADRATIC: ReferenceRule = { ...NORMFACE, fallback: 'none', family: 'quadratic', m1: 0.9, m3: -0.65 };
const CIRCLE: ReferenceRule = { ...NORMFACE, fallback: 'none', family: 'circle', m2: 0.25 };
const FAMILIES: ReferenceRule[] = [
  SPHERE,
  { ...SPHERE, m1: 1.7, m3: 0.1 },
  QUADRATIC,
  { ...QUADRATIC, m2: 0.4 },
  CIRCLE,
  { ...CIRCLE, m2: 0.6, m3: -0.2 },
];
const FALLBACKS: ReferenceRule[] = (['hard', 'easy', 'none', 'clip'] as const).flatMap((fallback) => [
  { ...NORMFACE, fallback, m2: 0.5 },
  { ...NORMFACE, fallback, m1: 1.35, m2: 0.3, m3: 0.2 },
  { ...NORMFACE, fallback, m1: 0.9, m2: -0.2, m3: -0.1 },
]);
const RULES = [...FAMILIES, ...FALLBACKS, { ...FALLBACKS[9]!, clipRadians: 0.05 }].flatMap((rule) => [
  rule,
  { ...rule, blend: 0.3 },
]);
const nameOf = ({ family = 'cosine', m1, m2, m3, fallback, blend = 1, clipRadians }: ReferenceRule) =>
  `${family} (${m1}, ${m2}, ${m3}), ${fallback}, w ${blend}${clipRadians ? `, ε ${clipRadians}` : ''}`;

const atAngle = (theta: number, rule: ReferenceRule) => targetLogit(Math.cos(theta), Math.sin(theta), rule);

/** Angles where a rule passes from one formula to another. */
function kinksOf({ family, m1, m2, clipRadians = 1e-4 }: ReferenceRule): number[] {
  if (family === 'sphere') return [1, 2, 3, 4].map((k) => (k * Math.PI) / m1);
  return [Math.PI, Math.PI - clipRadians, clipRadians].map((phi) => (phi - m2) / m1).concat(Math.PI / 2);
}

describe('derivatives of the target logit are those of its values', () => {
  it.each(RULES.map((rule) => [nameOf(rule), rule] as const))('%s', (_, rule) => {
    const step = 1e-6;
    const by = (field: 'm1' | 'm2', theta: number) =>
      (atAngle(theta, { ...rule, [field]: rule[field] + step }).logit -
        atAngle(theta, { ...rule, [field]: rule[field] - step }).logit) /
      (2 * step);
    let checked = 0;
    for (let theta = 0.005; theta < Math.PI; theta += 0.01) {
      if (kinksOf(rule).some((kink) => Math.abs(theta - kink) < 1e-3)) continue;
      const { slope, byM1, byM2 } = atAngle(theta, rule);
      const byTheta = (atAngle(theta + step, rule).logit - atAngle(theta - step, rule).logit) / (2 * step);
      // dT/dθ = −dT/dc·sinθ. The family 'sphere' has no m2: its range is 0 alone.
      expectClose([slope, byM1, byM2], [-byTheta, by('m1', theta), by('m2', theta)], 1e-6);
      checked++;
    }
    expect(checked).toBeGreaterThan(300);
  });
});

describe('published points', () => {
  const unscaled = (theta: number, rule: ReferenceRule) => atAngle(theta, { ...rule, scale: 1 }).logit;

  it('ψ of SphereFace, m = 4: whole turns of its pieces', () => {
    [1, -1, -3, -5, -7].forEach((value, k) => expect(unscaled((k * Math.PI) / 4, SPHERE)).toBeCloseTo(value, 12));
    [0, 1, 2, 3].forEach((k) => expect(unscaled(((k + 0.5) * Math.PI) / 4, SPHERE)).toBeCloseTo(-2 * k, 12));
  });

  it('ψ of m = 2 is 2cos²θ − 1 as far as π/2, and 1 − 2cos²θ − 2 beyond', () => {
    for (const theta of [0.1, 0.7, 1.5]) {
      const square = 2 * Math.cos(theta) ** 2 - 1;
      expect(unscaled(theta, { ...SPHERE, m1: 2 })).toBeCloseTo(square, 12);
      expect(unscaled(Math.PI - theta, { ...SPHERE, m1: 2 })).toBeCloseTo(-square - 2, 12);
    }
  });

  it('X2-Softmax as its authors run it: −0.9·θ² + 0.65', () => {
    expect(unscaled(0, QUADRATIC)).toBeCloseTo(0.65, 12);
    expect(unscaled(1.5, QUADRATIC)).toBeCloseTo(0.65 - 0.9 * 2.25, 12);
  });

  it('Circle loss is 0 at its optimum’s radius: (c − 1)² = m²', () => {
    expect(unscaled(Math.acos(1 - 0.25), CIRCLE)).toBeCloseTo(0, 12);
    expect(unscaled(0, CIRCLE)).toBeCloseTo(0.0625, 12);
    expect(unscaled(Math.PI, CIRCLE)).toBeCloseTo(2.25 * -1.75, 12);
  });
});

it('the target logit of sphere, quadratic with h = 0, and circle falls all the way from 0 to π', () => {
  const steps = 2000;
  for (const rule of [SPHERE, { ...SPHERE, m1: 1.7 }, { ...SPHERE, m1: 1, blend: 0.5 }, QUADRATIC, CIRCLE]) {
    for (let n = 0; n < steps; n++) {
      const [before, after] = [n, n + 1].map((at) => atAngle((at * Math.PI) / steps, rule).logit);
      expect(after, nameOf(rule)).toBeLessThan(before!);
    }
  }
});

describe('limits', () => {
  const thetas = [0, 1e-5, 0.4, 1.5, 2.2, 3.1, Math.PI];

  it('w = 0 (λ → ∞) is NormFace, value and slope, whatever the family', () => {
    for (const rule of RULES) {
      for (const theta of thetas) {
        const [actual, plain] = [atAngle(theta, { ...rule, blend: 0 }), atAngle(theta, NORMFACE)];
        expectClose([actual.logit, actual.slope], [plain.logit, plain.slope], 1e-14);
        expectClose([actual.byM1, actual.byM2], [0, 0], 0);
      }
    }
  });

  it('SphereFace with m = 1 is NormFace', () => {
    for (const theta of thetas) {
      const [actual, plain] = [atAngle(theta, { ...SPHERE, m1: 1 }), atAngle(theta, NORMFACE)];
      expectClose([actual.logit, actual.slope], [plain.logit, plain.slope], 1e-14);
    }
  });

  it('every margin of the cosine family tends to NormFace as it vanishes', () => {
    for (const fallback of ['hard', 'easy', 'none', 'clip'] as const) {
      for (const margin of [{ m1: 1 + 1e-7 }, { m2: 1e-7 }, { m3: 1e-7 }]) {
        for (const theta of thetas.slice(2, -1)) {
          const [actual, plain] = [atAngle(theta, { ...NORMFACE, fallback, ...margin }), atAngle(theta, NORMFACE)];
          expectClose([actual.logit, actual.slope], [plain.logit, plain.slope], 1e-5);
        }
      }
    }
  });
});

describe('straight-through', () => {
  it('has dT/dc = s, blended or not; Circle loss s·(1 + m − c), its detached weight', () => {
    for (const rule of RULES) {
      const { scale, blend = 1, m2, family } = rule;
      for (const theta of [0, 1e-3, 1, 2, 3]) {
        const { slope, ...rest } = atAngle(theta, { ...rule, gradient: 'straight-through' });
        const weight = family === 'circle' ? blend * (1 + m2 - Math.cos(theta)) + 1 - blend : 1;
        expect(slope).toBeCloseTo(scale * weight * Math.sin(theta), 12);
        const { logit, byM1, byM2 } = atAngle(theta, rule);
        expect(rest).toEqual({ logit, byM1, byM2 });
      }
    }
  });
});

it('the threshold of negatives is A(θ) − m3, without scale, fallback and blend', () => {
  for (const theta of [0.2, 1.4, 2.9, 3.1]) {
    const at = (rule: ReferenceRule) => targetThreshold(Math.cos(theta), Math.sin(theta), rule);
    for (const rule of FALLBACKS) {
      const expected = Math.cos(rule.m1 * theta + rule.m2) - rule.m3;
      expect(at({ ...rule, blend: 0.2 })).toBeCloseTo(expected, 14);
    }
    for (const rule of FAMILIES) {
      expect(at({ ...rule, blend: 0.2 })).toBeCloseTo(atAngle(theta, { ...rule, scale: 1 }).logit, 14);
    }
  }
});
