import { expectSame } from '../contract/compare.js';
import { ARCFACE, problem } from '../contract/data.js';
import type { Check } from './checks.js';
import type { EngineSubject } from './subjects.js';

const SGD = { learningRate: 0.1, momentum: 0.9, weightDecay: 5e-4 };

export interface PassSize {
  readonly dim: number;
  readonly classes: number;
  readonly batch: number;
  readonly rate: number;
}

/** Everything that two steps leave behind, each run on a device of its own. */
export function passesOnce({ open, precision }: EngineSubject, { dim, classes, batch: samples, rate }: PassSize) {
  const { centers: given, batch } = problem(77, { batch: samples, classes: 50, dim });
  const device = open();
  try {
    const centers = device.createCenters({ classes, dim, precision, seed: 5, stddev: 0.1 });
    centers.writeRows(0, given.weights);
    const results = [0, 1].map((step) => {
      const labels = batch.labels.map((label, i) => (i % 2 === 0 ? label : (label * 977 + step) % classes));
      const sampled = rate < 1 ? centers.sample({ labels, rate, seed: 9, step }) : undefined;
      const result = centers.forward({ embeddings: batch.embeddings, labels, margin: ARCFACE, sampled });
      centers.update(result.step, { ...SGD, roundingStep: step });
      return [result.lossPerSample, result.embeddingGradient, sampled ?? []];
    });
    return [...results.flat(), centers.readRows(0, classes), centers.readRows(0, classes, 'momentum')];
  } finally {
    device.dispose();
  }
}

/** Two runs give the same bits: losses, dX, samples, weights, momentum. */
export function* identicalChecks(subjects: readonly EngineSubject[], classes: number): Iterable<Check> {
  for (const subject of subjects) {
    for (const dim of [64, 128, 256, 512]) {
      for (const rate of [1, 0.1]) {
        yield {
          group: 'two runs, the same bits',
          subject: subject.name,
          name: `${subject.name}: D ${dim}, rate ${rate}`,
          run: () => {
            const size = { dim, classes, batch: 200, rate };
            const [first, second] = [passesOnce(subject, size), passesOnce(subject, size)];
            first.forEach((values, part) => expectSame(`part ${part}`, second[part], values));
          },
        };
      }
    }
  }
}
