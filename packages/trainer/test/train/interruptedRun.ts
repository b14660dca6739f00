import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';

import { stringify } from 'yaml';

import { checkConfig, type Config } from '../../dist/config/index.js';
import { readMetrics } from '../../dist/metrics/jsonLines.js';
import { RunFolder } from '../../dist/train/runFolder.js';
import { train, type TrainResult } from '../../dist/train/train.js';

export const HYPERARC = fileURLToPath(new URL('../../bin/hyperarc.js', import.meta.url));

/** A tiny run with all that has a state: dropout, augmentation, a sampler, a margin that adapts, momentum, averages, accumulation, a log window across checkpoints. */
export function tinyConfig(folder: string, name: string, steps: number): Config {
  return checkConfig(
    {
      name,
      seed: 5,
      // TensorFlow takes seconds to load in each of many processes.
      backend: 'wasm',
      output: join(folder, 'runs'),
      data: { root: join(folder, 'faces'), heldOut: 2, imageSize: 16, augment: 'robust' },
      backbone: { name: 'iresnet10-w16', embeddingSize: 8, dropout: 0.2 },
      head: { loss: 'adaface', scale: 16, rate: 0.5 },
      optimizer: { learningRate: 0.05, decayNormAndBias: false },
      schedule: { kind: 'cosine', warmupSteps: 2 },
      training: { steps, batchSize: 4, accumulate: 2, logEvery: 3, ema: { decay: 0.9 } },
      checkpoint: { every: 2, keepLast: 2 },
    },
    'test',
  );
}

export function writeConfig(folder: string, config: Config): string {
  const path = join(folder, `${config.name}.yaml`);
  writeFileSync(path, stringify(config));
  return path;
}

/** Trains in this process; `resume` as the command's --resume. */
export function trainHere(run: RunFolder, config: Config, resume = false): Promise<TrainResult> {
  const stream = new PassThrough().resume();
  return train({ run, config, stream, ...(resume && { resume: { fallBack: false } }) });
}

export interface Life {
  code: number | null;
  signal: NodeJS.Signals | null;
  output: string;
}

/** Runs a command; `onOutput` is called with all output so far, each time that some comes. */
export async function live(
  command: string,
  args: readonly string[],
  onOutput: (output: string, kill: (signal: NodeJS.Signals) => void) => void = () => {},
): Promise<Life> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => {
      output += String(data);
      onOutput(output, (signal) => child.kill(signal));
    });
  }
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { code, signal, output };
}

const digest = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

/** All that two runs of the same bits have in common: the last checkpoint, its score included, the model, and what was logged. */
export function bitsOf({ path, checkpointsPath, modelPath, metricsPath }: RunFolder): unknown {
  const last = join(checkpointsPath, readdirSync(checkpointsPath).sort().at(-1)!);
  // config.yaml has the run's name in it, and the manifest the digest of that.
  const files = readdirSync(last).filter((name) => /safetensors|state/.test(name));
  const { step, score } = JSON.parse(readFileSync(join(last, 'manifest.json'), 'utf8')) as Record<string, unknown>;
  const metrics = readMetrics(metricsPath).map((record) =>
    record.kind === 'train' ? [record.step, record.loss, record.gradientNorm, record.targetCosine] : record,
  );
  return {
    files: readdirSync(path)
      .filter((name) => name !== 'report.html')
      .sort(),
    checkpoints: readdirSync(checkpointsPath).sort(),
    last: Object.fromEntries(files.map((name) => [name, digest(join(last, name))])),
    manifest: { step, score },
    model: existsSync(modelPath) ? digest(join(modelPath, 'weights.bin')) : undefined,
    metrics,
  };
}
