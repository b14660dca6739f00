import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import { HyperArcError } from '@hyperarc/kernels-cuda';
import type { Command } from 'commander';

import { loadConfig, type Config } from '../../config/index.js';
import type { Evaluation } from '../../evaluate/index.js';
import { EXIT } from '../exitCodes.js';

const recipe = (name: string): string => fileURLToPath(new URL(`../../../recipes/${name}`, import.meta.url));
const RECIPE = recipe('quickstart.yaml');
const NEXT_RECIPE = relative(process.cwd(), recipe('arcface-iresnet50.yaml'));

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Draws the faces unless they are there. */
async function drawFaces({ data, synth, seed }: Config): Promise<void> {
  if (synth === undefined) {
    throw new HyperArcError('E_RANGE', 'synth: expected the section that says what to draw, received none');
  }
  const { writeSynthDataset } = await import('../../synth/writeDataset.js');
  const { identities, samples, imageSize } = synth;
  say(`1/4 faces: ${identities} drawn people with ${samples} images each, in ${data.root}`);
  const { status, elapsedMs } = await writeSynthDataset({ out: data.root, identities, samples, seed, size: imageSize });
  say(status === 'written' ? `drawn in ${(elapsedMs / 1000).toFixed(0)} s` : 'already there');
}

/** `raw pixels 58.4%   untrained 60.0%   trained 93.1%`. */
function accuracies(evaluation: Evaluation): string {
  return evaluation.models.map(({ name, accuracy }) => `${name} ${(100 * accuracy.mean).toFixed(1)}%`).join('   ');
}

async function runStart(overrides: string[]): Promise<void> {
  const startedAt = performance.now();
  const config = loadConfig(RECIPE, overrides);
  await drawFaces(config);

  say(`2/4 training ${config.backbone.name} with ${config.head.loss}`);
  const { runTraining } = await import('../runTraining.js');
  const { run, checkpoint, stoppedBy } = await runTraining(config, undefined, false);
  if (stoppedBy !== undefined) {
    process.exitCode = stoppedBy === 'SIGTERM' ? EXIT.terminated : EXIT.interrupted;
    return;
  }

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
      `  model       ${run.modelPath} (loads with tf.loadLayersModel)`,
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
