import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';

import { AdamW, type Optimizer, SgdMomentum } from '../../dist/optim/index.js';
import { backends, useBackend } from '../layers/backends.js';

type Values = Record<string, number[]>;

interface Case {
  name: string;
  kind: 'sgd' | 'adamw';
  weightDecay: number;
  momentum?: number;
  betas?: number[];
  epsilon?: number;
  decayNormAndBias?: boolean;
  clipNorm?: number;
  /** On learning rate and weight decay. */
  factors?: Record<string, [number, number]>;
  float64: Values[];
  float32: Values[];
}

/** What torch.optim printed: reference/make_expected.py. */
const expected = JSON.parse(
  readFileSync(fileURLToPath(new URL('reference/expected.json', import.meta.url)), 'utf8'),
) as { shapes: Values; rates: number[]; start: Values; gradients: Values[]; cases: Case[] };

function makeOptimizer(rule: Case, variables: Record<string, tf.Variable>): Optimizer {
  const { kind, momentum, betas, epsilon, weightDecay, decayNormAndBias = true, factors = {} } = rule;
  const weights = Object.entries(variables).map(([originalName, { name }]) => ({ originalName, name })) as never;
  const ofNames = Object.entries(factors).map(
    ([name, [rate, decay]]) => [name, { learningRate: rate, weightDecay: decay }] as const,
  );
  const common = { weightDecay, decayNormAndBias, weights, factors: new Map(ofNames) };
  return kind === 'sgd'
    ? new SgdMomentum({ ...common, momentum: momentum! })
    : new AdamW({ ...common, betas: betas!, epsilon: epsilon! });
}

const maxDifference = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);

describe.each(backends)('optimizers on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  it.each(expected.cases)('step as torch.optim does: $name', (rule) => {
    const variables = Object.fromEntries(
      Object.entries(expected.shapes).map(([name, shape]) => [
        name,
        tf.variable(tf.tensor(expected.start[name]!, shape)),
      ]),
    );
    const optimizer = makeOptimizer(rule, variables);
    expected.rates.forEach((rate, step) => {
      const grads: tf.NamedTensorMap = {};
      for (const [name, variable] of Object.entries(variables)) {
        grads[variable.name] = tf.tensor(expected.gradients[step]![name]!, variable.shape);
      }
      optimizer.apply(grads, rate, { clipNorm: rule.clipNorm });
      tf.dispose(grads);
      for (const [name, variable] of Object.entries(variables)) {
        const exact = rule.float64[step]![name]!;
        // As near as torch's own fp32 comes, and a few roundings of numbers below 2.
        const bound = maxDifference(rule.float32[step]![name]!, exact) + 4 * 2 ** -23;
        expect(maxDifference(variable.dataSync(), exact), `${name}, step ${step + 1}`).toBeLessThan(bound);
      }
    });
  });
});
