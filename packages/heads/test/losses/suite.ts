import { readFileSync } from 'node:fs';
// Registers the gradients of tfjs's ops.
import '@tensorflow/tfjs-layers';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { cases, makeCase, type InputName, type LossCase } from './cases.js';
import type { Inputs } from './reference.js';
import { differences, errorsOf, makeProblem, run, type Expected, type Problem } from './support.js';

interface Vectors {
  readonly problem: {
    readonly classes: number;
    readonly dim: number;
    readonly labels: number[];
    readonly bias: number;
    readonly embeddings: number[];
    readonly centers: number[];
    readonly biases: number[];
  };
  readonly cases: readonly {
    readonly loss: string;
    readonly source: string;
    readonly options: Record<string, unknown>;
    readonly value: number;
    readonly gradients: Partial<Record<InputName, number[]>>;
  }[];
}

const vectors = JSON.parse(readFileSync(new URL('vectors/loss_vectors.json', import.meta.url), 'utf8')) as Vectors;

/** B even and odd, one identity, each its own, one sample, and more dimensions than samples. */
const PROBLEMS: readonly [batch: number, classes: number, dim: number][] = [
  [12, 4, 5],
  [9, 3, 16],
  [6, 1, 3],
  [5, 7, 4],
  [1, 2, 3],
  [33, 5, 7],
];

/** Of a gradient's norm, and of its worst row. γ = 256 magnifies the rounding of fp32 cosines. */
const NORM_TOLERANCE = 1e-5;
const ROW_TOLERANCE = 1e-4;
const amplification = ({ name }: LossCase) => (name.includes('256') ? 4 : 1);

function expectClose(
  loss: LossCase,
  problem: Problem,
  expected: { value: number; gradients: Partial<Record<InputName, Expected>> },
) {
  const actual = run(loss, problem);
  expect(Math.abs(actual.value - expected.value)).toBeLessThanOrEqual(1e-5 * Math.max(Math.abs(expected.value), 1e-2));
  const dim = problem.inputs.embeddings[0].length;
  for (const name of loss.inputs) {
    const width = name === 'embeddings' || name === 'centers' ? dim : 1;
    const { total, worstRow } = errorsOf(actual.gradients[name]!, expected.gradients[name]!, width);
    expect(total, `${name}: norm`).toBeLessThan(NORM_TOLERANCE * amplification(loss));
    expect(worstRow, `${name}: worst row`).toBeLessThan(ROW_TOLERANCE * amplification(loss));
  }
}

function problemOf({ problem }: Vectors): Problem {
  const { dim, labels, bias, biases } = problem;
  const rows = (flat: number[]) =>
    Array.from({ length: flat.length / dim }, (_, i) => flat.slice(i * dim, (i + 1) * dim));
  const inputs: Inputs = { embeddings: rows(problem.embeddings), centers: rows(problem.centers), biases, bias };
  return { inputs, labels };
}

function exactly(gradients: Partial<Record<InputName, number[]>>): Partial<Record<InputName, Expected>> {
  const entries = Object.entries(gradients).map(([name, values]) => [name, { values, noise: 0 }]);
  return Object.fromEntries(entries) as Partial<Record<InputName, Expected>>;
}

/** The losses on the backend in use, against float64 and against other implementations. */
export function describeLosses(backend: string): void {
  describe(`losses on ${backend}`, () => {
    describe.each(cases)('$name', (loss) => {
      it.each(PROBLEMS)(
        'has the value and gradient of float64: batch %i, %i classes, dim %i',
        (batch, classes, dim) => {
          const problem = makeProblem(31 * batch + classes, batch, classes, dim);
          const value = loss.reference(problem.inputs, problem.labels, problem.inputs);
          const gradients = Object.fromEntries(loss.inputs.map((name) => [name, differences(loss, problem, name)]));
          expectClose(loss, problem, { value, gradients });
        },
      );

      it('leaves no tensors behind, and scales its gradient by what follows it', () => {
        const problem = makeProblem(5, 8, 3, 4);
        const once = run(loss, problem);
        const before = tf.memory().numTensors;
        const thrice = run({ ...loss, loss: (...args) => tf.mul(loss.loss(...args), 3) as tf.Scalar }, problem);
        expect(tf.memory().numTensors).toBe(before);
        const expected = { values: once.gradients.embeddings!.map((value) => 3 * value), noise: 0 };
        expect(errorsOf(thrice.gradients.embeddings!, expected, 4).worstRow).toBeLessThan(1e-6);
      });
    });

    const others = vectors.cases.map((vector) => ({ vector, loss: makeCase[vector.loss](vector.options as never) }));
    it.each(others)('has the numbers of $vector.source: $loss.name', ({ vector, loss }) =>
      expectClose(loss, problemOf(vectors), { value: vector.value, gradients: exactly(vector.gradients) }),
    );
  });
}
