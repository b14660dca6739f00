import { centerGradient, roundState, sgdUpdate } from '../../dist/reference/index.js';
import type { Problem, Size } from './data.js';
import { ARCFACE, problem, shardOf } from './data.js';
import { referenceForward, withCenters } from './expectations.js';
import type { ContractSgd, Implementation } from './implementation.js';
import { storedCenters } from './precision.js';
import type { ContractCase } from './suite.js';

/** Weight decay moves everything by a tenth of a percent, less than half a unit in the last place; the gradient by next to nothing. */
const DECAY: ContractSgd = {
  learningRate: Math.fround(1e-5),
  momentum: Math.fround(0.5),
  weightDecay: 100,
  unsampled: 'frozen',
  roundingStep: 0n,
};

/** Centres of a bf16 master that own the last classes of a larger problem, so that global rows are not local ones. */
function masterProblem(implementation: Implementation, seed: number, size: Size): Problem {
  // The gradient grows with the scale: at this one its error is nothing beside a unit in the last place.
  const { centers, batch } = problem(seed, size, { ...ARCFACE, scale: 2 ** -8 });
  const first = 3;
  const shard = { ...shardOf(centers, first, size.classes), globalClasses: size.classes };
  const labels = batch.labels.map((label) => first + (label % (size.classes - first)));
  return { centers: storedCenters(implementation, shard), batch: { ...batch, labels } };
}

function differences(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  return Array.from(expected).filter((value, e) => value !== actual[e]).length;
}

const bitsCases = [
  { batch: 9, classes: 40, dim: 22 },
  { batch: 9, classes: 21, dim: 33, subCenters: 2 },
  { batch: 5, classes: 12, dim: 260 },
].map((size: Size): ContractCase => ({
  group: 'stochastic rounding',
  name: `draws the bits of row, element and step: C ${size.classes}, K ${size.subCenters ?? 1}, D ${size.dim}`,
  run: (implementation) => {
    const { centers, batch } = masterProblem(implementation, 81, size);
    const { dim, firstClass, subCenters } = centers;
    const gradient = centerGradient(centers, [referenceForward(centers, batch)]);
    for (const roundingStep of [0n, 1n, 2n ** 40n + 3n]) {
      const options = { ...DECAY, roundingStep };
      const exact = sgdUpdate(centers.weights, centers.momentum, gradient, dim, () => true, options);
      const expected = roundState(exact, dim, firstClass * subCenters, roundingStep);
      withCenters(implementation, centers, (subject) => {
        subject.update!([subject.forward(batch).step], options);
        for (const [what, actual, wanted] of [
          ['weights', subject.weights(), expected.weights],
          ['momentum', subject.momentum!(), expected.momentum],
        ] as const) {
          // The gradient's own error decides a rounding otherwise in one of many thousand elements.
          const wrong = differences(actual, wanted);
          if (wrong > 0.002 * wanted.length + 1) {
            throw new Error(
              `${what} at step ${roundingStep}: ${wrong} of ${wanted.length} elements are rounded otherwise`,
            );
          }
        }
      });
    }
  },
}));

const UPDATES = 8;

/** What is left of a weight after the updates. */
function shrunk(): number {
  let [weight, velocity] = [1, 0];
  for (let t = 0; t < UPDATES; t++) {
    velocity = DECAY.momentum * velocity + DECAY.weightDecay * weight;
    weight -= DECAY.learningRate * velocity;
  }
  return weight;
}

const meanCase: ContractCase = {
  group: 'stochastic rounding',
  name: 'moves weights by less than a unit in the last place, on average exactly as far',
  run: (implementation) => {
    const { centers: given, batch } = masterProblem(implementation, 82, { batch: 4, classes: 43, dim: 64 });
    const centers = { ...given, momentum: given.momentum.map(() => 0) };
    withCenters(implementation, centers, (subject) => {
      for (let t = 0; t < UPDATES; t++) {
        subject.update!([subject.forward(batch).step], { ...DECAY, roundingStep: BigInt(t) });
      }
      const actual = subject.weights();
      // Projected on the weights of before: Σ w'·w / Σ w².
      let [along, squares] = [0, 0];
      for (let e = 0; e < actual.length; e++) {
        along += actual[e] * centers.weights[e];
        squares += centers.weights[e] ** 2;
      }
      // An update rounds with a standard deviation of half a unit (2⁻⁸ of the weight) at most. The largest rows hold most of
      // Σ w², a third of them.
      const deviation = (2 ** -8 * Math.sqrt(3 * UPDATES)) / Math.sqrt(actual.length);
      const [moved, expected] = [1 - along / squares, 1 - shrunk()];
      if (!(Math.abs(moved - expected) < 5 * deviation)) {
        throw new Error(`weights: expected to shrink by ${expected} ± ${deviation}, received ${moved}`);
      }
    });
  },
};

/** What only a bf16 master does. */
export function roundingCases({ precision, hasUpdate }: Implementation): ContractCase[] {
  return precision === 'bf16-master' && hasUpdate ? [...bitsCases, meanCase] : [];
}
