import { readFileSync } from 'node:fs';
import { sampleClasses, seedRows } from '../../dist/reference/index.js';
import { expectRows, expectSame } from './compare.js';
import { problem } from './data.js';
import { expectProblem, withCenters } from './expectations.js';
import type { ContractCenters, Implementation } from './implementation.js';
import { storedCenters } from './precision.js';
import type { ContractCase } from './suite.js';

interface FrozenSample {
  classes: number;
  firstClass: number;
  labels: number[];
  rate: number;
  seed: string;
  step: string;
  shard: number;
  sampled: number[];
}

function readFrozenSamples(): FrozenSample[] {
  return JSON.parse(readFileSync(new URL('../vectors/sampler.json', import.meta.url), 'utf8')) as FrozenSample[];
}

function emptyCenters(classes: number, firstClass: number, dim: number, subCenters = 1): ContractCenters {
  const count = classes * subCenters * dim;
  const zeros = { weights: new Float32Array(count).fill(1), momentum: new Float32Array(count) };
  return { classes, subCenters, dim, firstClass, globalClasses: firstClass + classes, ...zeros };
}

const samplerCases: ContractCase[] = [
  {
    group: 'sampler',
    name: 'frozen outputs',
    run: (implementation) => {
      for (const { sampled, ...sample } of readFrozenSamples()) {
        // Some of the labels are of classes past this shard.
        const centers = { ...emptyCenters(sample.classes, sample.firstClass, 2), globalClasses: 128 };
        const request = { ...sample, labels: Int32Array.from(sample.labels) };
        withCenters(implementation, centers, (subject) => {
          const ids = { seed: BigInt(sample.seed), step: BigInt(sample.step) };
          // The engine's labels are those of a batch, never empty; a label of another shard is no positive here.
          const labels = request.labels.length > 0 ? request.labels : Int32Array.of(127);
          const drawn = Array.from(subject.sample!({ ...request, ...ids, labels }));
          expectSame(`sample of ${sample.classes} at ${sample.rate}`, drawn, sampled);
        });
      }
    },
  },
  {
    group: 'sampler',
    name: 'equals the reference at many sizes and rates',
    run: (implementation) => {
      for (const classes of [1, 2, 3, 4, 5, 15, 16, 17, 64, 255, 1000, 4099]) {
        withCenters(implementation, emptyCenters(classes, 0, 1), (subject) => {
          for (const [index, rate] of [1e-4, 0.02, 0.1, 0.25, 0.5, 0.999, 1].entries()) {
            const labels = Int32Array.from({ length: 9 }, (_, i) => (i * 31 + classes) % classes);
            const request = { labels, rate, seed: 2n ** 40n + BigInt(classes), step: BigInt(index), shard: index };
            const expected = sampleClasses({ ...request, classes, firstClass: 0 });
            expectSame(`sample of ${classes} at ${rate}`, Array.from(subject.sample!(request)), Array.from(expected));
          }
        });
      }
    },
  },
  {
    group: 'seeding',
    name: 'equals the reference, shard by shard, and clears the momentum',
    run: (implementation) => {
      for (const [firstClass, subCenters, dim] of [
        [0, 1, 5],
        [1000, 3, 8],
        [7, 2, 33],
      ] as const) {
        const centers = emptyCenters(6, firstClass, dim, subCenters);
        withCenters(implementation, { ...centers, momentum: centers.momentum.fill(1) }, (subject) => {
          subject.seed!(2n ** 35n + 99n, 0.01);
          const rows = 6 * subCenters;
          const expected = seedRows(2n ** 35n + 99n, Math.fround(0.01), firstClass * subCenters, rows, dim);
          // One unit in the last place of fp32: the math libraries may round log and cos differently.
          const centers = storedCenters(implementation, {
            ...emptyCenters(6, firstClass, dim, subCenters),
            weights: expected,
          });
          // A bf16 master has rounded that, at worst to the other neighbour.
          const worst = implementation.precision === 'bf16-master' ? 2 ** -7 : 2e-7;
          expectRows('seeded weights', subject.weights(), centers.weights, 1, {
            relativeNorm: worst / 10,
            worstRow: worst,
          });
          expectSame('momentum', Array.from(subject.momentum!()), new Array(rows * dim).fill(0));
        });
      }
    },
  },
];

const softmaxCases: ContractCase[] = [0.02, 0.3, 0.7, 1].map((rate) => ({
  group: 'partial FC',
  name: `loss and gradients at rate ${rate}`,
  run: (implementation) => {
    for (const subCenters of implementation.maxSubCenters > 1 ? [1, 3] : [1]) {
      const { centers, batch } = problem(61, { batch: 9, classes: 83, dim: 21, subCenters });
      const draw = { classes: 83, firstClass: 0, labels: batch.labels, rate, seed: 5n, step: 6n, shard: 0 };
      expectProblem(implementation, { centers, batch: { ...batch, sampled: sampleClasses(draw) } });
    }
  },
}));

/** Partial FC: what is drawn, and the softmax over it. */
export function samplingCases({ hasSampling }: Implementation): ContractCase[] {
  return hasSampling ? [...samplerCases, ...softmaxCases] : [];
}
