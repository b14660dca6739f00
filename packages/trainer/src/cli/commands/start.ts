import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import { HyperArcError } from '@hyperarc/kernels-cuda';
import type { Command } from 'commander';

import { loadConfig, type Config } from '../../config/index.js';
import type { Evaluation } from '../../evaluate/index.js';
import { StopRequest } from '../../train/signals.js';
import { stoppedExit, trainingExit } from '../exitCodes.js';

const recipe = (name: string): string => fileURLToPath(new URL(`../../../recipes/${name}`, import.meta.url));
const RECIPE = recipe('quickstart.yaml');
const NEXT_RECIPE = relative(process.cwd(), recipe('arcface-iresnet50.yaml'));

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Tells of every quarter of the drawing. */
function quarters(): (images: number, total: number) => void {
  let told = 0;
  return (images, total) => {
    const quarter = Math.floor((4 * images) / total);
    if (quarter > told) say(`  ${images} of ${total} images`);
    told = quarter;
  };
}

/**
 * Draws the faces unless they are there.
 * @returns the signal that interrupted it, if one did; nothing stays then.
 */
async function drawFaces({ data, synth, seed }: Config): Promise<NodeJS.Signals | undefined> {
  if (synth === undefined) {
    throw new HyperArcError('E_RANGE', 'synth: expected the section that says what to draw, received none');
  }
  const { writeSynthDataset } = await import('../../synth/writeDataset.js');
  const { identities, samples, imageSize: size } = synth;
  say(`1/4 faces: ${identities} drawn people with ${samples} images each, in ${data.root}`);
  const interrupt = new AbortController();
  using stop = new StopRequest(() => interrupt.abort());
  try {
    const onProgress = quarters();
    const { signal } = interrupt;
    const drawn = await writeSynthDataset({ out: data.root, identities, samples, seed, size, onProgress, signal });
    say(drawn.status === 'written' ? `drawn in ${(drawn.elapsedMs / 1000).toFixed(0)} s` : 'already there');
  } catch (error) {
    if (stop.signal === undefined) throw error;
    say(`${stop.signal}: stopped drawing; nothing was kept`);
  }
  return stop.signal;
}

/** `raw pixels 58.4%   untrained 60.0%   trained 93.1%`. */
function accuracies(evaluation: Evaluation): string {
  return evaluation.models.map(({ name, accuracy }) => `${name} ${(100 * accuracy.mean).toFixed(1)}%`).join('   ');
}

async function runStart(overrides: string[]): Promise<void> {
  const startedAt = performance.now();
  const config = loadConfig(RECIPE, overrides);
  const interrupted = await drawFaces(config);
  if (interrupted !== undefined) {
    process.exitCode = stoppedExit(interrupted);
    return;
  }

  say(`2/4 training ${config.backbone.name} with ${config.head.loss}`);
  const { runTraining } = await import('../runTraining.js');
  const { run, checkpoint, ...result } = await runTraining(config, undefined, false);
  process.exitCode = trainingExit(result);
  if (process.exitCode !== 0) return;

  say(`3/4 verification of ${config.data.heldOut} people that the model has never seen`);
  const [{ evaluateRun }, { formatEvaluation }, { writeReport }] = await Promise.all([
    import('../../evaluate/evaluateRun.js'),
    import('../../evaluate/evaluation.js'),
    import('../../report/index.js'),
  ]);
  const evaluation = await evaluateRun(run);
  say(formatEvaluation(evaluation));

  say('4/4 report');
  const report = await writeReport({ runFolder: run.path });
  const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1);
  say(
    [
      '',
      `Done in ${minutes} minutes. Accuracy on people never seen: ${accuracies(evaluation)}`,
      `  report      ${report}`,
      `  checkpoint  ${checkpoint}`,
      `  model       ${run.modelPath} (loadModelFolder of @hyperarc/trainer reads it)`,
      'Next:',
      '  npx hyperarc data check YOUR_FACES            one folder an identity',
      `  npx hyperarc train ${NEXT_RECIPE} data.root=YOUR_FACES --dry-run`,
      '  npx hyperarc --help',
    ].join('\n'),
  );
}

/** `hyperarc start`, which `npm start` runs. */
export function registerStartCommand(program: Command): void {
  program
    .command('start')
    .description('draw faces, train the quickstart recipe on them, verify it on unseen people, write a report')
    .argument('[overrides...]', 'key=value for the quickstart recipe')
    .action(runStart);
}
