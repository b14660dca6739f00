import type { AdamWState } from '../../dist/reference/index.js';
import { adamwUpdate, centerGradient, drawnRows, roundAdamWState, sampleClasses } from '../../dist/reference/index.js';
import { expectRows, expectSame } from './compare.js';
import type { Problem } from './data.js';
import { normals, partOf, problem, shardOf } from './data.js';
import { referenceForward, withCenters } from './expectations.js';
import type { ContractAdamW, ContractBatch, ContractCenters, Implementation, Subject } from './implementation.js';
import { storedCenters, times, updateToleranceOf } from './precision.js';
import type { ContractCase } from './suite.js';

export const ADAMW: ContractAdamW = {
  learningRate: Math.fround(1e-3),
  betas: [0.9, 0.999],
  epsilon: 1e-8,
  weightDecay: Math.fround(0.1),
  unsampled: 'frozen',
  roundingStep: 2n ** 33n + 5n,
};

/** The problem with moments as after `updates` updates; without any they are zero. */
function withMoments({ centers, batch }: Problem, updates: number): Problem {
  const { weights, momentum } = centers;
  const secondMoment =
    updates === 0 ? new Float32Array(weights.length) : normals(7, weights.length).map((value) => (0.1 * value) ** 2);
  return { centers: { ...centers, momentum: updates === 0 ? secondMoment : momentum, secondMoment, updates }, batch };
}

const stateOf = ({ weights, momentum, secondMoment }: ContractCenters): AdamWState<Float32Array> => ({
  weights,
  momentum,
  secondMoment: secondMoment!,
});

/** Update t in float64, and what the implementation keeps of it. */
function moved(
  { precision }: Implementation,
  centers: ContractCenters,
  batches: readonly ContractBatch[],
  t: number,
  options: ContractAdamW,
): AdamWState {
  const { dim, firstClass, subCenters } = centers;
  const steps = batches.map((batch) => referenceForward(centers, batch));
  const gradient = centerGradient(centers, steps);
  const state = adamwUpdate(stateOf(centers), gradient, dim, drawnRows(steps, subCenters), t, options);
  if (precision !== 'bf16-master') return state;
  return roundAdamWState(state, dim, firstClass * subCenters, options.roundingStep);
}

function expectState(
  implementation: Implementation,
  subject: Subject,
  expected: AdamWState,
  dim: number,
  factor = 1,
): void {
  const tolerance = times(factor, updateToleranceOf(implementation));
  expectRows('first moment', subject.momentum!(), expected.momentum, dim, tolerance);
  // It holds squares, whose relative error is twice that of the gradient.
  expectRows('second moment', subject.secondMoment!(), expected.secondMoment, dim, times(2, tolerance));
  expectRows('weights', subject.weights(), expected.weights, dim, tolerance);
}

/** One update from several forward passes, on both sides; every row of weights and moments compared. */
function expectUpdate(
  implementation: Implementation,
  { centers: given }: Pick<Problem, 'centers'>,
  batches: readonly ContractBatch[],
  options: ContractAdamW,
): void {
  const centers = storedCenters(implementation, given);
  const { dim, subCenters, updates = 0 } = centers;
  const expected = moved(implementation, centers, batches, updates + 1, options);
  const isDrawn = drawnRows(
    batches.map((batch) => referenceForward(centers, batch)),
    subCenters,
  );
  withCenters(implementation, centers, (subject) => {
    subject.update!(
      batches.map((batch) => subject.forward(batch).step),
      options,
    );
    expectSame('number of updates', [subject.updates!()], [updates + 1]);
    expectState(implementation, subject, expected, dim);
    if (options.unsampled === 'decayed') return;
    const now = { weights: subject.weights(), momentum: subject.momentum!(), secondMoment: subject.secondMoment!() };
    for (const [name, before] of Object.entries(stateOf(centers))) {
      const after = Array.from(now[name as keyof AdamWState]);
      for (let r = 0; r < after.length / dim; r++) {
        const row = [r * dim, (r + 1) * dim] as const;
        if (!isDrawn(r))
          expectSame(`${name} of frozen row ${r}`, after.slice(...row), Array.from(before.slice(...row)));
      }
    }
  });
}

const full = (subCenters = 1, updates = 6) =>
  withMoments(problem(72, { batch: 14, classes: 37, dim: 19, subCenters }), updates);

function sampledProblem(subCenters: number): Problem {
  const { centers, batch } = withMoments(problem(71, { batch: 10, classes: 53, dim: 22, subCenters }), 6);
  const draw = { classes: 53, firstClass: 0, labels: batch.labels, rate: 0.4, seed: 8n, step: 1n, shard: 0 };
  return { centers, batch: { ...batch, sampled: sampleClasses(draw) } };
}

/** Updates in a row from nothing: every bias correction from the first on, each time another draw of half the classes. */
function expectCourse(implementation: Implementation, { centers: given, batch }: Problem, updates: number): void {
  let expected = storedCenters(implementation, given);
  withCenters(implementation, expected, (subject) => {
    for (let t = 1; t <= updates; t++) {
      const draw = { classes: given.classes, firstClass: 0, labels: batch.labels, rate: 0.5, seed: 3n, shard: 0 };
      const drawn = { ...batch, sampled: sampleClasses({ ...draw, step: BigInt(t) }) };
      const options = { ...ADAMW, roundingStep: BigInt(t) };
      const state = moved(implementation, expected, [drawn], t, options);
      const fp32 = (values: Float64Array) => Float32Array.from(values);
      expected = {
        ...expected,
        weights: fp32(state.weights),
        momentum: fp32(state.momentum),
        secondMoment: fp32(state.secondMoment),
      };
      subject.update!([subject.forward(drawn).step], options);
    }
    // Rounding of one update is input to the next.
    expectState(implementation, subject, moments(expected), given.dim, 10);
  });
}

const moments = (centers: ContractCenters): AdamWState => {
  const { weights, momentum, secondMoment } = stateOf(centers);
  return {
    weights: Float64Array.from(weights),
    momentum: Float64Array.from(momentum),
    secondMoment: Float64Array.from(secondMoment),
  };
};

/** A bf16 master whose gradient is next to nothing: all that is left to chance is the roundings, and they are the reference's. */
const bitsCase: ContractCase = {
  group: 'AdamW',
  name: 'stochastic rounding draws the bits of row, element and step',
  run: (implementation) => {
    const { centers, batch } = withMoments(problem(81, { batch: 9, classes: 40, dim: 22, subCenters: 1 }), 6);
    const faint = { ...batch, rule: { ...batch.rule, scale: 2 ** -8 } };
    const shard = { ...shardOf(centers, 3, 40), globalClasses: 40, updates: 6 };
    const labels = batch.labels.map((label) => 3 + (label % 37));
    const stored = storedCenters(implementation, shard);
    for (const roundingStep of [0n, 2n ** 40n + 3n]) {
      const options = { ...ADAMW, roundingStep };
      const expected = moved(implementation, stored, [{ ...faint, labels }], 7, options);
      withCenters(implementation, stored, (subject) => {
        subject.update!([subject.forward({ ...faint, labels }).step], options);
        const actual = {
          weights: subject.weights(),
          momentum: subject.momentum!(),
          secondMoment: subject.secondMoment!(),
        };
        for (const name of ['weights', 'momentum', 'secondMoment'] as const) {
          const wrong = expected[name].filter((value, e) => value !== actual[name][e]).length;
          if (wrong > 0.002 * expected[name].length + 1) {
            throw new Error(`${name} at step ${roundingStep}: ${wrong} of ${expected[name].length} elements differ`);
          }
        }
      });
    }
  },
};

const seedCase: ContractCase = {
  group: 'AdamW',
  name: 'seeding clears moments and number of updates',
  run: (implementation) => {
    const { centers } = full();
    withCenters(implementation, centers, (subject) => {
      subject.seed!(5n, 0.01);
      const zeros = new Float32Array(centers.weights.length);
      expectSame('first moment', subject.momentum!(), zeros);
      expectSame('second moment', subject.secondMoment!(), zeros);
      expectSame('number of updates', [subject.updates!()], [0]);
    });
  },
};

/** AdamW fused into pass 2. */
export function adamwCases({
  hasAdamW = false,
  maxSubCenters,
  mixesSamples = true,
  precision,
}: Implementation): ContractCase[] {
  if (!hasAdamW) return [];
  const subCenterCounts = maxSubCenters > 1 ? [1, 3] : [1];
  const variants: [string, Partial<ContractAdamW>, number][] = [
    ['moments and weight decay', {}, 6],
    ['the first update', {}, 0],
    ['the hundred thousandth update', {}, 99_999],
    ['no weight decay', { weightDecay: 0 }, 6],
    ['betas of zero: each gradient alone', { betas: [0, 0] }, 6],
    ['an epsilon that outweighs the gradient', { epsilon: 0.5 }, 6],
    ['learning rate 0: only the moments move', { learningRate: 0 }, 6],
    ['a learning rate that moves weights far', { learningRate: 0.5 }, 6],
  ];
  return [
    ...variants.flatMap(([name, change, updates]) =>
      subCenterCounts.map((subCenters): ContractCase => ({
        group: 'AdamW',
        name: `${name}, K ${subCenters}`,
        run: (implementation) => {
          const given = full(subCenters, updates);
          expectUpdate(implementation, given, [given.batch], { ...ADAMW, ...change });
        },
      })),
    ),
    ...(['frozen', 'decayed'] as const).flatMap((unsampled) =>
      subCenterCounts.map((subCenters): ContractCase => ({
        group: 'AdamW',
        name: `rows not drawn are ${unsampled}, K ${subCenters}`,
        run: (implementation) => {
          const given = sampledProblem(subCenters);
          expectUpdate(implementation, given, [given.batch], { ...ADAMW, unsampled });
        },
      })),
    ),
    // Rows of one, two and many vectors of every instruction set, with and without a rest.
    ...[3, 16, 64, 131, 520].map((dim): ContractCase => ({
      group: 'AdamW',
      name: `D ${dim}`,
      run: (implementation) => {
        const given = withMoments(problem(73, { batch: 6, classes: 9, dim }), 3);
        expectUpdate(implementation, given, [given.batch], ADAMW);
      },
    })),
    ...(mixesSamples
      ? [
          {
            group: 'AdamW',
            name: 'two micro-batches are one update',
            run: (implementation: Implementation) => {
              const { centers, batch } = full();
              const parts = [partOf(batch, 19, 0, 5), partOf(batch, 19, 5, 14)];
              expectUpdate(implementation, { centers }, parts, ADAMW);
            },
          },
        ]
      : []),
    {
      group: 'AdamW',
      name: 'zero centres move by their moments alone',
      run: (implementation) => {
        const given = full();
        given.centers.weights.fill(0, 0, 3 * 19);
        expectUpdate(implementation, given, [given.batch], ADAMW);
      },
    },
    {
      group: 'AdamW',
      name: 'five updates of changing draws stay on the reference’s course',
      run: (implementation) => expectCourse(implementation, full(1, 0), 5),
    },
    seedCase,
    ...(precision === 'bf16-master' ? [bitsCase] : []),
  ];
}
