import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  AdamW,
  createBackbone,
  initBackend,
  MovingAverage,
  SgdMomentum,
  type BackendChoice,
  type Optimizer,
} from '@hyperarc/trainer';
import * as tf from '@tensorflow/tfjs-core';

import { benchEnvironment } from './environment.js';

/** What the backbone's update costs beside its forward and backward pass: one line of optimizer.jsonl. */
interface OptimizerRecord {
  format: 'hyperarc-bench-optimizer-1';
  run: string;
  backend: string;
  environment: ReturnType<typeof benchEnvironment>;
  rows: Row[];
}

interface Row {
  backbone: string;
  batch: number;
  /** sgd, adamw, or average: the moving average of the weights. */
  update: string;
  /** Best wall times in ms, and best processor times of all threads. */
  gradientMs: number;
  gradientCpuMs: number;
  updateMs: number;
  updateCpuMs: number;
}

export interface OptimizerCase {
  backbone: string;
  batch: number;
}

interface Timing {
  wallMs: number;
  cpuMs: number;
}

function timed<T>(compute: () => T): Timing & { result: T } {
  const [start, before] = [performance.now(), process.cpuUsage()];
  const result = compute();
  const { user, system } = process.cpuUsage(before);
  return { wallMs: performance.now() - start, cpuMs: (user + system) / 1000, result };
}

/** The best of each, which need not be of one repetition. */
const best = (timings: readonly Timing[]): Timing => ({
  wallMs: Math.min(...timings.map(({ wallMs }) => wallMs)),
  cpuMs: Math.min(...timings.map(({ cpuMs }) => cpuMs)),
});

/** What is timed besides forward and backward, by name, and what ends it. */
function updates(
  model: ReturnType<typeof createBackbone>,
): Record<string, { run: (grads: tf.NamedTensorMap) => void; dispose: () => void }> {
  const stepping = (optimizer: Optimizer) => ({
    // Clipped, as in training: the gradient is scaled on the way.
    run: (grads: tf.NamedTensorMap) => void optimizer.apply(grads, 1e-6, { clipNorm: 1e-3 }),
    dispose: () => optimizer.dispose(),
  });
  const average = new MovingAverage(model, { decay: 0.999, warmup: true });
  return {
    sgd: stepping(new SgdMomentum({ momentum: 0.9, weightDecay: 5e-4, decayNormAndBias: true })),
    adamw: stepping(new AdamW({ weightDecay: 0.1, decayNormAndBias: true })),
    average: { run: () => average.update(), dispose: () => average.dispose() },
  };
}

/** The updates take turns on the same gradients, so that other load on the machine falls on all. */
function measure({ backbone, batch }: OptimizerCase, repetitions: number): Row[] {
  const model = createBackbone({ name: backbone });
  const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const inputSize = model.inputs[0]!.shape[1]!;
  const images = tf.randomUniform([batch, inputSize, inputSize, 3], -1, 1, 'float32', 1);
  const all = updates(model);
  const gradientTimes: Timing[] = [];
  const updateTimes: Record<string, Timing[]> = {};
  for (let i = -1; i < repetitions; i++) {
    const gradient = timed(() => {
      const { value, grads } = tf.variableGrads(() => {
        const embeddings = model.apply(images, { training: true }) as tf.Tensor;
        return tf.mul(tf.sum(tf.square(embeddings)), 1e-3) as tf.Scalar;
      }, variables);
      // Reading back waits for devices that run on their own.
      grads[variables[0]!.name]!.dataSync();
      value.dispose();
      return grads;
    });
    if (i >= 0) gradientTimes.push(gradient);
    for (const [name, each] of Object.entries(all)) {
      const update = timed(() => {
        each.run(gradient.result);
        variables.at(-1)!.dataSync();
      });
      if (i >= 0) (updateTimes[name] ??= []).push(update);
    }
    tf.dispose(gradient.result);
  }
  const { wallMs: gradientMs, cpuMs: gradientCpuMs } = best(gradientTimes);
  for (const each of Object.values(all)) each.dispose();
  images.dispose();
  model.dispose();
  return Object.entries(updateTimes).map(([update, times]) => {
    const { wallMs: updateMs, cpuMs: updateCpuMs } = best(times);
    return { backbone, batch, update, gradientMs, gradientCpuMs, updateMs, updateCpuMs };
  });
}

/** The update costs the same at any batch: its share falls as the batch grows. */
const CASES: readonly OptimizerCase[] = [
  { backbone: 'mobilefacenet', batch: 8 },
  { backbone: 'iresnet50', batch: 8 },
];

/** Times the updates of the optimizers beside forward and backward, adds a record to `results`, and returns a Markdown table. */
export async function runOptimizer(
  choice: BackendChoice,
  results: string,
  cases: readonly OptimizerCase[] = CASES,
  repetitions = 5,
): Promise<string> {
  const { name, tensorflowVersion } = await initBackend(choice);
  const record: OptimizerRecord = {
    format: 'hyperarc-bench-optimizer-1',
    run: new Date().toISOString(),
    backend: tensorflowVersion === undefined ? name : `${name} ${tensorflowVersion}`,
    environment: benchEnvironment(),
    rows: cases.flatMap((entry) => measure(entry, repetitions)),
  };
  mkdirSync(results, { recursive: true });
  appendFileSync(join(results, 'optimizer.jsonl'), `${JSON.stringify(record)}\n`);
  const lines = record.rows.map((row) => {
    const { backbone, batch, update, gradientMs, updateMs, gradientCpuMs, updateCpuMs } = row;
    const share = (part: number, rest: number): string => `${((100 * part) / (part + rest)).toFixed(1)}%`;
    const cells = [
      `${backbone}, B = ${batch}`,
      update,
      gradientMs.toFixed(0),
      updateMs.toFixed(1),
      share(updateMs, gradientMs),
      gradientCpuMs.toFixed(0),
      updateCpuMs.toFixed(1),
      share(updateCpuMs, gradientCpuMs),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [
    `Best of ${repetitions} on ${record.backend}, ${record.environment.cpu}, ${record.environment.cores} cores:`,
    '',
    '| backbone at 112×112 | update | forward and backward ms | update ms | share | forward and backward CPU ms | update CPU ms | share |',
    '| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...lines,
  ].join('\n');
}
