import '@tensorflow/tfjs-backend-wasm';
import '@tensorflow/tfjs-layers';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, it } from 'vitest';
import { makeCase } from './cases.js';
import { errorsOf, makeProblem, run } from './support.js';

beforeAll(() => tf.setBackend('wasm'));

// More than 2²⁴ elements of [anchor, positive, negative] and of [sample, sample, dimension].
const BATCH = 264;
const problem = makeProblem(17, BATCH, 5, 256);
// One positive an anchor keeps the float64 reference's triplets few.
const labels = problem.labels.map((_, i) => i >> 1);

it.each([
  makeCase['triplet']({
    mining: 'batch-all',
    margin: 0.2,
    distance: 'squared',
    normalize: true,
    average: 'all',
  } as never),
  makeCase['contrastive']({ margin: 1, normalize: true } as never),
])('$name works in blocks where a batch needs more than one, with the same numbers', (loss) => {
  const { value, gradients } = run(loss, { ...problem, labels });
  expect(value).toBeCloseTo(loss.reference(problem.inputs, labels, problem.inputs), 5);
  // Directional derivatives along two rows, of the first block and of the last.
  for (const row of [1, BATCH - 1]) {
    const moved = (step: number) => {
      const embeddings = problem.inputs.embeddings.map((x, i) => (i === row ? x.map((v, d) => v + step * (d % 3)) : x));
      return loss.reference({ ...problem.inputs, embeddings }, labels, problem.inputs);
    };
    const expected = (moved(1e-6) - moved(-1e-6)) / 2e-6;
    const actual = gradients.embeddings!.slice(row * 256, row * 256 + 256).reduce((sum, g, d) => sum + g * (d % 3), 0);
    expect(errorsOf([actual], { values: [expected], noise: 1e-9 }, 1).total).toBeLessThan(1e-4);
  }
});
