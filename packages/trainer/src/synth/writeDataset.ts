import { once } from 'node:events';
import { createWriteStream, existsSync, readdirSync, readFileSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { finished } from 'node:stream/promises';
import { Worker } from 'node:worker_threads';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { makeFolder } from '../files.js';
import { checkPlace } from '../outputs.js';
import { ControlPlan } from './controls.js';
import { drawIdentity, IDENTITY_TRAITS } from './identity.js';
import { checkSynthParameters, identityFolder, sampleFile, SYNTH_VERSION, type SynthParameters } from './layout.js';
import type { PersonTask } from './renderWorker.js';
import { drawSample, SAMPLE_CONDITIONS } from './sample.js';

export interface WriteDatasetOptions extends SynthParameters {
  /** The dataset's folder: absent, empty, or holding this same dataset. */
  readonly out: string;
  /** Threads; the default is the number of processors, at most 16. Does not change the pictures. */
  readonly workers?: number;
  /** Called when another identity is complete. */
  readonly onProgress?: (images: number, total: number) => void;
  /** Stops the work; nothing stays. */
  readonly signal?: AbortSignal;
}

export interface WriteDatasetResult {
  readonly status: 'written' | 'already there';
  readonly images: number;
  readonly elapsedMs: number;
}

/**
 * Writes a synthetic face dataset as an image folder: `id_00000/0000.jpg` …, `attributes.csv` (a row an image) and
 * `synth.json`. All is written to a folder beside `out` and renamed at the end, so `out` is whole or untouched.
 * @throws HyperArcError E_RANGE for parameters out of range, and if nothing can be written there; E_FORMAT when `out` holds something else.
 */
export async function writeSynthDataset(options: WriteDatasetOptions): Promise<WriteDatasetResult> {
  const { identities, samples, seed, size, controls } = options;
  const isControlled = controls !== undefined && Object.values(controls).some((value) => value !== undefined);
  const parameters: SynthParameters = { identities, samples, seed, size, ...(isControlled && { controls }) };
  checkSynthParameters(parameters);
  const plan = isControlled ? new ControlPlan(controls, parameters) : undefined;
  const started = performance.now();
  const out = resolve(options.out);
  if (checkTarget(out, parameters))
    return { status: 'already there', images: identities * samples, elapsedMs: performance.now() - started };
  checkPlace('out', out);

  const partial = join(dirname(out), `.${basename(out)}.partial-${process.pid}-${Date.now().toString(36)}`);
  makeFolder(partial);
  try {
    await drawAll(partial, parameters, plan, options);
    await writeAttributes(join(partial, 'attributes.csv'), parameters, plan);
    await writeFile(join(partial, 'synth.json'), manifest(parameters));
    options.signal?.throwIfAborted();
    await rename(partial, out);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
  return { status: 'written', images: identities * samples, elapsedMs: performance.now() - started };
}

const manifest = (parameters: SynthParameters): string =>
  `${JSON.stringify({ kind: 'hyperarc-synth', version: SYNTH_VERSION, ...parameters }, null, 2)}\n`;

/** True when `out` holds this dataset already; false when it may be written. */
function checkTarget(out: string, parameters: SynthParameters): boolean {
  if (!existsSync(out)) return false;
  const refuse = (found: string): never => {
    throw new HyperArcError(
      'E_FORMAT',
      `out: expected an absent or empty folder, received ${out} with ${found}; choose another folder or remove this one`,
    );
  };
  let entries: string[];
  try {
    entries = readdirSync(out);
  } catch (cause) {
    throw new HyperArcError('E_FORMAT', `out: expected a folder, received ${out}; choose another path`, { cause });
  }
  if (entries.length === 0) return false;
  if (!entries.includes('synth.json')) return refuse(`${entries.length} other entries`);
  if (readFileSync(join(out, 'synth.json'), 'utf8') !== manifest(parameters))
    return refuse('a synthetic dataset of other parameters or another version');
  for (let identity = 0; identity < parameters.identities; identity++) {
    const folder = join(out, identityFolder(identity));
    const images = existsSync(folder) ? readdirSync(folder).length : 0;
    if (images < parameters.samples)
      return refuse(`${images} of ${parameters.samples} images in ${identityFolder(identity)}`);
  }
  return true;
}

/** Hands identities to the workers, one at a time each; an error in one stops all. */
async function drawAll(
  folder: string,
  parameters: SynthParameters,
  plan: ControlPlan | undefined,
  options: WriteDatasetOptions,
): Promise<void> {
  const { identities, samples } = parameters;
  const count = Math.min(identities, options.workers ?? Math.min(availableParallelism(), 16));
  if (!Number.isInteger(count) || count < 1) {
    throw new HyperArcError(
      'E_RANGE',
      `workers: expected a whole number of at least 1, received ${options.workers}; leave --workers out`,
    );
  }
  options.signal?.throwIfAborted();
  const script = new URL('./renderWorker.js', import.meta.url);
  const workers = Array.from(
    { length: count },
    () => new Worker(script, { workerData: { folder, parameters }, execArgv: [] }),
  );
  let next = 0;
  let done = 0;
  try {
    await new Promise<void>((resolveAll, reject) => {
      options.signal?.addEventListener('abort', () => reject(options.signal!.reason as Error), { once: true });
      for (const worker of workers) {
        const giveWork = () => {
          if (next === identities) return;
          const identity = next++;
          worker.postMessage({ identity, control: plan?.of(identity) } satisfies PersonTask);
        };
        worker.on('error', reject);
        worker.on('message', () => {
          done++;
          options.onProgress?.(done * samples, identities * samples);
          if (done === identities) resolveAll();
          else giveWork();
        });
        giveWork();
      }
    });
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

/** One row an image: its path, then what it was drawn from. */
async function writeAttributes(
  path: string,
  { identities, samples, seed }: SynthParameters,
  plan: ControlPlan | undefined,
): Promise<void> {
  const file = createWriteStream(path);
  const round = (value: number | string) => (typeof value === 'number' ? String(Number(value.toFixed(4))) : value);
  file.write(
    `${['path', 'identity', 'sample', ...IDENTITY_TRAITS, ...SAMPLE_CONDITIONS, ...(plan?.columns.names() ?? [])].join(',')}\n`,
  );
  for (let identity = 0; identity < identities; identity++) {
    const control = plan?.of(identity);
    const { traits } = drawIdentity(seed, identity, control?.group);
    const traitCells = IDENTITY_TRAITS.map((name) => round(traits[name])).join(',');
    let rows = '';
    for (let sample = 0; sample < samples; sample++) {
      const prescribed = control?.samples[sample];
      const conditions = drawSample(seed, identity, sample, prescribed);
      const cells = SAMPLE_CONDITIONS.map((name) => round(conditions[name]));
      if (plan && control && prescribed) cells.push(...plan.columns.cells(control, prescribed));
      rows += `${identityFolder(identity)}/${sampleFile(sample)},${identity},${sample},${traitCells},${cells.join(',')}\n`;
    }
    if (!file.write(rows)) await once(file, 'drain');
  }
  file.end();
  await finished(file);
}
