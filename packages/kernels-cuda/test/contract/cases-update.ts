import type { SgdState } from '../../dist/reference/index.js';
import { centerGradient, drawnRows, roundState, sampleClasses, sgdUpdate } from '../../dist/reference/index.js';
import { expectRows, expectSame } from './compare.js';
import type { Problem } from './data.js';
import { partOf, problem } from './data.js';
import { referenceForward, withCenters } from './expectations.js';
import type { ContractBatch, ContractCenters, ContractSgd, Implementation } from './implementation.js';
import { storedCenters, times, updateToleranceOf } from './precision.js';
import type { ContractCase } from './suite.js';

export const SGD: ContractSgd = {
  learningRate: Math.fround(0.1),
  momentum: Math.fround(0.9),
  weightDecay: Math.fround(5e-4),
  unsampled: 'frozen',
  roundingStep: 2n ** 33n + 5n,
};

/** What the implementation keeps of an updated state. */
function stored(
  { precision }: Implementation,
  state: SgdState,
  { dim, firstClass, subCenters }: ContractCenters,
  { roundingStep }: ContractSgd,
): SgdState {
  return precision === 'bf16-master' ? roundState(state, dim, firstClass * subCenters, roundingStep) : state;
}

/** One update from several forward passes, on both sides; every row of weights and momentum compared. */
export function expectUpdate(
  implementation: Implementation,
  given: ContractCenters,
  batches: readonly ContractBatch[],
  options: ContractSgd,
): void {
  const centers = storedCenters(implementation, given);
  const { dim, subCenters } = centers;
  const expectedSteps = batches.map((batch) => referenceForward(centers, batch));
  const isDrawn = drawnRows(expectedSteps, subCenters);
  const gradient = centerGradient(centers, expectedSteps);
  const exact = sgdUpdate(centers.weights, centers.momentum, gradient, dim, isDrawn, options);
  const expected = stored(implementation, exact, centers, options);
  const tolerance = updateToleranceOf(implementation);
  withCenters(implementation, centers, (subject) => {
    const steps = batches.map((batch) => subject.forward(batch).step);
    subject.update!(steps, options);
    // Stored fp32 numbers carry 6e-8 of rounding beside the gradient's own error.
    expectRows('momentum', subject.momentum!(), expected.momentum, dim, tolerance);
    expectRows('weights', subject.weights(), expected.weights, dim, tolerance);
    const weights = Array.from(subject.weights());
    if (options.unsampled === 'decayed') return;
    for (let r = 0; r < weights.length / dim; r++) {
      if (isDrawn(r)) continue;
      const row = [r * dim, (r + 1) * dim] as const;
      expectSame(`frozen row ${r}`, weights.slice(...row), Array.from(centers.weights.slice(...row)));
    }
  });
}

function sampledProblem(subCenters: number): Problem {
  const { centers, batch } = problem(71, { batch: 10, classes: 53, dim: 22, subCenters });
  const draw = { classes: 53, firstClass: 0, labels: batch.labels, rate: 0.4, seed: 8n, step: 1n, shard: 0 };
  return { centers, batch: { ...batch, sampled: sampleClasses(draw) } };
}

const full = (subCenters = 1) => problem(72, { batch: 14, classes: 37, dim: 19, subCenters });

const mixedSamplesCase: ContractCase = {
  group: 'update',
  name: 'several steps that drew different classes: any draw counts',
  run: (implementation) => {
    const { centers, batch } = sampledProblem(1);
    const [first, second] = [partOf(batch, 22, 0, 4), partOf(batch, 22, 4, 10)];
    const draw = { classes: 53, firstClass: 0, rate: 0.3, seed: 8n, shard: 0 };
    const batches = [first, second].map((part, t) => ({
      ...part,
      sampled: sampleClasses({ ...draw, labels: part.labels, step: BigInt(t) }),
    }));
    expectUpdate(implementation, centers, batches, SGD);
  },
};

/** SGD fused into pass 2. */
export function updateCases({ hasUpdate, maxSubCenters, mixesSamples = true }: Implementation): ContractCase[] {
  if (!hasUpdate) return [];
  const subCenterCounts = maxSubCenters > 1 ? [1, 3] : [1];
  const variants: [string, Partial<ContractSgd>][] = [
    ['momentum and weight decay', {}],
    ['no weight decay', { weightDecay: 0 }],
    ['no momentum', { momentum: 0 }],
    ['learning rate 0: only the momentum moves', { learningRate: 0 }],
    ['a learning rate that moves weights far', { learningRate: 8 }],
  ];
  return [
    ...variants.flatMap(([name, change]) =>
      subCenterCounts.map((subCenters): ContractCase => ({
        group: 'update',
        name: `${name}, K ${subCenters}`,
        run: (implementation) => {
          const { centers, batch } = full(subCenters);
          expectUpdate(implementation, centers, [batch], { ...SGD, ...change });
        },
      })),
    ),
    ...(['frozen', 'decayed'] as const).flatMap((unsampled) =>
      subCenterCounts.map((subCenters): ContractCase => ({
        group: 'update',
        name: `rows not drawn are ${unsampled}, K ${subCenters}`,
        run: (implementation) => {
          const { centers, batch } = sampledProblem(subCenters);
          expectUpdate(implementation, centers, [batch], { ...SGD, unsampled });
        },
      })),
    ),
    ...(mixesSamples ? [mixedSamplesCase] : []),
    {
      group: 'update',
      name: 'zero centres move by momentum and weight decay alone',
      run: (implementation) => {
        const { centers, batch } = full();
        centers.weights.fill(0, 0, 3 * 19);
        expectUpdate(implementation, centers, [batch], SGD);
      },
    },
    {
      group: 'update',
      name: 'five updates in a row stay on the reference’s course',
      run: (implementation) => expectCourse(implementation, full(), 5),
    },
  ];
}

function expectCourse(implementation: Implementation, { centers: given, batch }: Problem, updates: number): void {
  const centers = storedCenters(implementation, given);
  let expected: SgdState = {
    weights: Float64Array.from(centers.weights),
    momentum: Float64Array.from(centers.momentum),
  };
  withCenters(implementation, centers, (subject) => {
    for (let t = 0; t < updates; t++) {
      const now = { ...centers, weights: Float32Array.from(expected.weights) };
      const gradient = centerGradient(now, [referenceForward(now, batch)]);
      const options = { ...SGD, roundingStep: BigInt(t) };
      const exact = sgdUpdate(expected.weights, expected.momentum, gradient, centers.dim, () => true, options);
      expected = stored(implementation, exact, centers, options);
      subject.update!([subject.forward(batch).step], options);
    }
    // Rounding of one update is input to the next.
    const tolerance = times(10, updateToleranceOf(implementation));
    expectRows('weights', subject.weights(), expected.weights, centers.dim, tolerance);
    expectRows('momentum', subject.momentum!(), expected.momentum, centers.dim, tolerance);
  });
}
