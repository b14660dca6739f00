import type { ClassCenters, Step } from '../../dist/index.js';
import { centerGradient, forward } from '../../dist/reference/index.js';
import { expectRows } from '../contract/compare.js';
import { ARCFACE, normals } from '../contract/data.js';
import { times, toleranceOf } from '../contract/precision.js';
import type { Check } from './checks.js';
import type { EngineSubject } from './subjects.js';

const DIM = 512;
/** The first C with C·D > 2³¹, and some more. */
export const LARGE_CLASSES = 2 ** 31 / DIM + 1003;
const BATCH = 64;
const SGD = { learningRate: 0.1, momentum: 0.9, weightDecay: 5e-4, roundingStep: 0 };

/**
 * Offsets beyond 2³¹: one engine that holds all classes against two that hold half of them each, whose offsets are small, and rows beyond 2³¹
 * against the reference. Seeded rows are the same in both.
 */
export function* largeChecks(subjects: readonly EngineSubject[], classes = LARGE_CLASSES): Iterable<Check> {
  const half = Math.ceil(classes / 2);
  const edge = Math.min(classes - 1, 2 ** 31 / DIM);
  const labels = Int32Array.from(
    { length: BATCH },
    (_, i) => [0, half - 1, half, edge - 1, edge, classes - 1][i] ?? (i * 65_537) % classes,
  );
  const embeddings = normals(11, BATCH * DIM);
  for (const subject of subjects) {
    const group = `C·D > 2³¹ (C = ${classes}, D = ${DIM})`;
    yield {
      group,
      subject: subject.name,
      name: `${subject.name}: whole against halves`,
      run: () => compareWithHalves(subject),
    };
    yield {
      group,
      subject: subject.name,
      name: `${subject.name}: the last classes against the reference`,
      run: () => compareLastClasses(subject),
    };
  }

  function compareWithHalves({ open, precision, implementation }: EngineSubject): string | void {
    const device = open();
    try {
      const shape = { dim: DIM, precision, seed: 3, stddev: 0.05 };
      const plan = device.plan({ classes, dim: DIM, precision, batch: BATCH });
      if (2.1 * plan.peakBytes > plan.availableBytes) return `${(2.1 * plan.peakBytes) / 1e9} GB wanted`;
      const whole = device.createCenters({ ...shape, classes });
      const halves = [0, half].map((firstClass, h) =>
        device.createCenters({
          ...shape,
          classes: h === 0 ? half : classes - half,
          firstClass,
          globalClasses: classes,
        }),
      );
      const expected = forwardHalves(halves);
      const result = whole.forward({ embeddings, labels, margin: ARCFACE });
      const tolerance = times(2, toleranceOf(implementation));
      expectRows('loss', result.lossPerSample, expected.loss, 1, tolerance);
      expectRows('dX', result.embeddingGradient, expected.embeddingGradient, DIM, tolerance);
      whole.update(result.step, SGD);
      halves.forEach((centers, h) => centers.update(expected.steps[h], SGD));
      for (const row of new Set([...labels, 1, half + 1, edge - 2, classes - 2])) {
        const [part, at] = row < half ? [halves[0], row] : [halves[1], row - half];
        // A gradient decides some roundings of a bf16 master otherwise: one unit in the last place each.
        const loose = precision === 'bf16-master' ? { relativeNorm: 1e-2, worstRow: 1e-2 } : tolerance;
        expectRows(`weights of row ${row}`, whole.readRows(row, 1), part.readRows(at, 1), DIM, loose);
        expectRows(
          `momentum of row ${row}`,
          whole.readRows(row, 1, 'momentum'),
          part.readRows(at, 1, 'momentum'),
          DIM,
          loose,
        );
      }
    } finally {
      device.dispose();
    }
  }

  function forwardHalves(halves: readonly ClassCenters[]) {
    const steps: Step[] = halves.map((centers) => centers.targetTerms({ embeddings, labels, margin: ARCFACE }));
    const sum = (parts: readonly Float32Array[]) => parts[0].map((value, e) => value + parts[1][e]);
    const share = (seam: 'targetLogits' | 'sumExp') => {
      const total = sum(halves.map((centers, h) => centers.getSeam(steps[h], seam)));
      halves.forEach((centers, h) => centers.setSeam(steps[h], seam, total));
    };
    share('targetLogits');
    halves.forEach((centers, h) => centers.negativeSums(steps[h]));
    share('sumExp');
    const results = halves.map((centers, h) => centers.finishForward(steps[h]));
    const embeddingGradient = sum(results.map((result) => result.embeddingGradient));
    return { steps, loss: results[0].lossPerSample, embeddingGradient };
  }

  /** Partial FC on classes around and beyond offset 2³¹ alone: a problem small enough for the reference. */
  function compareLastClasses({ open, precision, implementation }: EngineSubject): string | void {
    const device = open();
    try {
      const plan = device.plan({ classes, dim: DIM, precision, batch: BATCH, rate: 0.01 });
      if (!plan.fits) return `${plan.peakBytes / 1e9} GB wanted`;
      const centers = device.createCenters({ classes, dim: DIM, precision, seed: 3, stddev: 0.05 });
      const count = Math.min(200, classes);
      const first = classes - count;
      const here = Int32Array.from({ length: BATCH }, (_, i) => (i * 7) % count);
      const sampled = Int32Array.from({ length: count }, (_, j) => first + j);
      const weights = centers.readRows(first, count);
      const operands = precision === 'fp32' ? {} : ({ operands: 'bf16' } as const);
      const small = {
        classes: count,
        subCenters: 1,
        dim: DIM,
        firstClass: 0,
        globalClasses: classes,
        weights,
        ...operands,
      };
      const expected = forward([small], { embeddings, labels: here, rule: ARCFACE }, [undefined]);
      const batch = { embeddings, labels: here.map((label) => first + label), margin: ARCFACE, sampled };
      const result = centers.forward(batch);
      const tolerance = toleranceOf(implementation);
      expectRows('loss', result.lossPerSample, expected.sampleLoss, 1, tolerance);
      expectRows('dX', result.embeddingGradient, expected.embeddingGradient, DIM, tolerance);
      const before = centers.readRows(0, 4);
      centers.update(result.step, SGD);
      expectRows('rows that were not sampled', centers.readRows(0, 4), before, DIM, { relativeNorm: 0, worstRow: 0 });
      const gradient = centerGradient(small, [expected], 0);
      const momentum = gradient.map((value, e) => value + SGD.weightDecay * weights[e]);
      const loose = times(precision === 'bf16-master' ? 5 : 1, tolerance);
      expectRows('momentum', centers.readRows(first, count, 'momentum'), momentum, DIM, loose);
      expectRows(
        'weights',
        centers.readRows(first, count),
        momentum.map((value, e) => weights[e] - SGD.learningRate * value),
        DIM,
        loose,
      );
    } finally {
      device.dispose();
    }
  }
}
