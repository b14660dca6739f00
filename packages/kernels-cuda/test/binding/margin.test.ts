/** What a margin rule becomes on its way to the engine. */
import { describe, expect, it } from 'vitest';

import { checkMarginRule, openDevice, type MarginRule } from '../../dist/index.js';
import { bits, makeBatch, margin, testDevice } from './support.js';

describe('checkMarginRule', () => {
  const branch = { value: [0.1, 0.9, 0.2], slope: [0.9, 0.4] } as const;
  const negatives = { threshold: 'target', above: branch, below: branch } as const;

  it('fills in what is not given, and leaves the given rule alone', () => {
    const given: MarginRule = Object.freeze({ ...margin });
    const complete = checkMarginRule(given);
    expect(complete).toEqual({ ...margin, family: 'cosine', blend: 1, clipRadians: 1e-4, negatives: undefined });
    expect(checkMarginRule(complete)).toEqual(complete);
  });

  it('keeps every field, of each family, and nothing that is no part of a rule', () => {
    const rules: MarginRule[] = [
      { ...margin, fallback: 'clip', clipRadians: 0.1, blend: 0, negatives },
      { ...margin, fallback: 'none', family: 'sphere', m1: 1.35, m2: 0, blend: 0.2, clipRadians: 1e-3 },
      { ...margin, fallback: 'none', family: 'quadratic', m1: 0.01, m2: -0.3, m3: -1 },
      { ...margin, fallback: 'none', family: 'circle', m2: 0.25, negatives: { ...negatives, threshold: -1 } },
    ];
    for (const rule of rules) {
      const complete = checkMarginRule({ ...rule, name: 'mine' } as MarginRule);
      expect(complete).toMatchObject(rule);
      expect(complete).not.toHaveProperty('name');
    }
  });

  it('copies the arrays of negatives: a later change of the given ones changes nothing', () => {
    const value: [number, number, number] = [0, 1, 0];
    const changing = { threshold: 0.5, above: { value, slope: [1, 0] as const }, below: branch };
    const complete = checkMarginRule({ ...margin, negatives: changing });
    value[1] = 99;
    expect(complete.negatives?.above.value).toEqual([0, 1, 0]);
  });
});

describe('the engine', () => {
  const shape = { classes: 23, dim: 12, batch: 5 };

  it('takes the defaults for what is not given', () => {
    using device = openDevice(testDevice, { threads: 1 });
    const centers = device.createCenters(shape);
    const batch = makeBatch(shape);
    const explicit = centers.forward({ ...batch, margin: checkMarginRule(margin) });
    expect(bits(centers.forward(batch).embeddingGradient)).toEqual(bits(explicit.embeddingGradient));
  });
});
