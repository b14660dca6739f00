import { describe, expect, it } from 'vitest';
import type { MarginSpec } from '../dist/index.js';
import * as heads from '../dist/index.js';
import { plotHeads } from '../dist/plot/index.js';

const { explain, presets } = heads;
const radians = (degrees: number): number => (degrees * Math.PI) / 180;

/** The boundary at a whole degree. */
function boundaryAt(spec: MarginSpec, degrees: number, curve = 0): number {
  return explain(spec).boundaries[curve][degrees];
}

describe('explain', () => {
  it('has ArcFace’s target and its published fallback', () => {
    const { angles, curves } = explain(heads.arcFace({ margin: 0.5 }));
    expect(angles).toHaveLength(181);
    const [{ logits, slopes, condition }] = curves;
    expect(condition).toBe('');
    for (const degrees of [0, 40, 90, 150]) {
      expect(logits[degrees]).toBeCloseTo(Math.cos(radians(degrees) + 0.5), 12);
      expect(slopes[degrees]).toBeCloseTo(Math.sin(radians(degrees) + 0.5), 12);
    }
    for (const degrees of [152, 170, 180]) {
      expect(logits[degrees]).toBeCloseTo(Math.cos(radians(degrees)) - 0.5 * Math.sin(0.5), 12);
    }
  });

  it('gives slopes that are the derivative of the logits', () => {
    const points = 1801;
    for (const spec of [heads.normFace(), heads.cosFace(), heads.arcFace(), heads.sphereFace(), heads.x2Softmax()]) {
      const { angles, curves } = explain(spec, { points });
      for (const { logits, slopes } of curves) {
        for (let p = 10; p < points - 10; p += 7) {
          const expected = -(logits[p + 1] - logits[p - 1]) / (angles[p + 1] - angles[p - 1]);
          if (Math.abs(expected) > 20) continue; // the jump into a fallback
          expect(Math.abs(slopes[p] - expected)).toBeLessThan(5e-3);
        }
      }
    }
  });

  it('shows an adaptive margin at what it moves between', () => {
    const conditions = (spec: MarginSpec) => explain(spec).curves.map(({ condition }) => condition);
    expect(conditions(presets.magface)).toEqual(['‖x‖ = 10', '‖x‖ = 60', '‖x‖ = 110']);
    expect(conditions(presets.adaface)).toEqual(['quality k = -1', 'quality k = 0', 'quality k = 1']);
    expect(conditions(presets.sphereface)).toEqual(['λ = 1000', 'λ = 5']);
    const longest = explain(presets.magface).curves[2];
    expect(longest.logits[30]).toBeCloseTo(Math.cos(radians(30) + 0.8), 12);
    // AdaFace's margins at k = −1: m2 = m and m3 = 0; at k = 1: m2 = −m and m3 = 2m.
    const [low, , high] = explain(presets.adaface).curves;
    expect(low.logits[60]).toBeCloseTo(Math.cos(radians(60) + 0.4), 12);
    expect(high.logits[60]).toBeCloseTo(Math.cos(radians(60) - 0.4) - 0.8, 12);
  });
});

describe('the decision boundary', () => {
  it('is θ1 itself without a margin', () => {
    for (const degrees of [0, 17, 90, 179])
      expect(boundaryAt(heads.normFace(), degrees)).toBeCloseTo(radians(degrees), 6);
  });

  it('is θ1 + m for ArcFace, mθ1 for SphereFace, arccos(cosθ1 − m) for CosFace', () => {
    const sphere = heads.sphereFace({ margin: 2, scale: 30, annealing: false });
    for (const degrees of [5, 40, 80]) {
      expect(boundaryAt(heads.arcFace({ margin: 0.3 }), degrees)).toBeCloseTo(radians(degrees) + 0.3, 6);
      expect(boundaryAt(sphere, degrees)).toBeCloseTo(2 * radians(degrees), 6);
      const expected = Math.acos(Math.cos(radians(degrees)) - 0.35);
      expect(boundaryAt(heads.cosFace({ margin: 0.35 }), degrees)).toBeCloseTo(expected, 6);
    }
  });

  it('does not exist where the target falls below every negative', () => {
    expect(boundaryAt(heads.cosFace({ margin: 0.35 }), 170)).toBeNaN();
  });

  it('follows what the head makes of negatives', () => {
    // CurricularFace, t = 0: a negative beyond the target cos(θ1 + m) counts as c², which is larger only above c = 1: hard
    // negatives are eased, so the boundary is where c² = cos(θ1 + m), until c falls below the target.
    const spec = heads.curricularFace({ margin: 0.5 });
    const target = Math.cos(radians(30) + 0.5);
    expect(boundaryAt(spec, 30, 0)).toBeCloseTo(Math.acos(Math.sqrt(target)), 6);
    // t = 0.5: c·(0.5 + c) = target.
    expect(boundaryAt(spec, 30, 1)).toBeCloseTo(Math.acos(target), 6);
    // A filter at 0.4 sets aside nearer classes: their logit is 0, so only targets below 0 lose against them.
    const filtered = heads.withInterClassFilter(heads.cosFace({ margin: 0.35 }), { threshold: 0.4 });
    expect(boundaryAt(filtered, 30)).toBe(0);
  });
});

describe('bad input', () => {
  it('is refused by name', () => {
    expect(() => explain({ ...heads.arcFace(), m2: 9 })).toThrow(/margin\.m2/);
    expect(() => explain(undefined as never)).toThrow(/margin: expected an object, received undefined/);
    expect(() => explain(heads.arcFace(), { points: 1 })).toThrow(/points: expected an integer ≥ 2, received 1/);
    expect(() => plotHeads([])).toThrow(/explanations: expected at least one/);
  });
});

describe('plotHeads', () => {
  it('draws every curve of every head once a panel', () => {
    const svg = plotHeads([explain(heads.arcFace()), explain(presets.magface)]);
    expect(svg).toMatch(/^<svg/);
    for (const name of ['arcface', 'magface, ‖x‖ = 10', 'magface, ‖x‖ = 110', 'target logit / s', 'θ1, degrees']) {
      expect(svg).toContain(name);
    }
    // Four lines in each of three panels.
    const strokes = svg.match(/<path[^>]*stroke="#(0072b2|d55e00)"[^>]*stroke-width="2.5"/g) ?? [];
    expect(strokes.length).toBe(3 * 4);
  });
});
