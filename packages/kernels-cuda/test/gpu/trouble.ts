import type { Device, DeviceSpec } from '../../dist/index.js';
import { HyperArcError, openDevice } from '../../dist/index.js';
import { expectSame } from '../contract/compare.js';
import { ARCFACE, problem } from '../contract/data.js';
import type { Check } from './checks.js';
import { isOutOfReach } from './checks.js';
import type { EngineSubject } from './subjects.js';

const SGD = { learningRate: 0.1, momentum: 0.9, weightDecay: 5e-4 };
const [BATCH, CLASSES, DIM] = [32, 100, 128];

/** Throws unless `work` answers the error `code` with a message that matches; gives the error back. */
function expectError(code: string, message: RegExp, work: () => void): HyperArcError {
  try {
    work();
  } catch (error) {
    if (isOutOfReach(error)) throw error;
    if (error instanceof HyperArcError && error.code === code && message.test(error.message)) return error;
    throw new Error(`expected ${code} with ${message}, received ${String(error)}`);
  }
  throw new Error(`expected ${code} with ${message}, received no error`);
}

/** A step on small centres, after which everything must still be right: loss, dX, weights. */
function smallStep(device: Device, { precision }: EngineSubject) {
  const { centers: given, batch } = problem(91, { batch: BATCH, classes: CLASSES, dim: DIM });
  const centers = device.createCenters({ classes: CLASSES, dim: DIM, precision });
  centers.writeRows(0, given.weights);
  const run = (labels = batch.labels, embeddings = batch.embeddings) => {
    const result = centers.forward({ embeddings, labels, margin: ARCFACE });
    centers.update(result.step, { ...SGD, roundingStep: 1 });
    return [result.lossPerSample, result.embeddingGradient, centers.readRows(0, CLASSES)];
  };
  return { centers, batch, run };
}

/** Bad input and trouble: an error with its name, nothing changed, and the engine usable afterwards. */
export function* troubleChecks(spec: DeviceSpec, subjects: readonly EngineSubject[]): Iterable<Check> {
  const group = 'trouble';
  const nobody = spec === 'cpu' ? 'cuda:99' : (`${spec.split(':')[0]}:99` as DeviceSpec);
  yield {
    group,
    subject: 'no device',
    name: `no such device: ${nobody}`,
    run: () => void expectError('E_DEVICE', /99|no .*(driver|device)|CPU-only/, () => openDevice(nobody)),
  };
  for (const subject of subjects) {
    const { name, open, precision } = subject;
    const whole = runAlone(subject);
    yield {
      group,
      subject: name,
      name: `${name}: a label out of range, NaN: nothing moves`,
      run: () => {
        const device = open();
        try {
          const { centers, batch, run } = smallStep(device, subject);
          const version = centers.weightsVersion;
          const labels = batch.labels.with(BATCH - 1, CLASSES);
          expectError('E_RANGE', /labels?/, () => void run(labels));
          const embeddings = batch.embeddings.with(BATCH * DIM - 1, NaN);
          expectError('E_NONFINITE', /embeddings/, () => void run(batch.labels, embeddings));
          if (centers.weightsVersion !== version) throw new Error('weightsVersion: expected no change, received one');
          run().forEach((values, part) => expectSame(`part ${part}`, values, whole()[part]));
        } finally {
          device.dispose();
        }
      },
    };
    yield {
      group,
      subject: name,
      name: `${name}: out of memory names the plan, and the engine works on`,
      run: () => {
        const device = open();
        try {
          const before = smallStep(device, subject);
          const error = expectError('E_MEMORY', /GB|GiB|bytes/, () =>
            device.createCenters({ classes: 2_000_000_000, dim: 512, precision }),
          );
          if (error.plan === undefined) throw new Error('plan: expected it with the error, received none');
          before.run().forEach((values, part) => expectSame(`part ${part}`, values, whole()[part]));
        } finally {
          device.dispose();
        }
      },
    };
    yield {
      group,
      subject: name,
      name: `${name}: two engines in turn do not disturb each other`,
      run: () => {
        const devices = [open(), open()];
        try {
          const steps = devices.map((device) => smallStep(device, subject));
          const results = steps.map(({ centers, batch: { embeddings, labels } }) =>
            centers.forward({ embeddings, labels, margin: ARCFACE }),
          );
          steps.forEach(({ centers }, i) => centers.update(results[i].step, { ...SGD, roundingStep: 1 }));
          steps.forEach(({ centers }, i) => {
            const { lossPerSample, embeddingGradient } = results[i];
            const parts = [lossPerSample, embeddingGradient, centers.readRows(0, CLASSES)];
            parts.forEach((values, part) => expectSame(`engine ${i}, part ${part}`, values, whole()[part]));
          });
        } finally {
          for (const device of devices) device.dispose();
        }
      },
    };
  }
}

/** The undisturbed step, computed once when it is first asked for. */
function runAlone(subject: EngineSubject): () => readonly Float32Array[] {
  let parts: Float32Array[] | undefined;
  return () => {
    if (parts === undefined) {
      const device = subject.open();
      try {
        parts = smallStep(device, subject).run();
      } finally {
        device.dispose();
      }
    }
    return parts;
  };
}
