import { join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda';
import { Option, type Command } from 'commander';

import type { BackendChoice } from '../../backend/index.js';
import type { NoisyProbes } from '../../evaluate/megaface/evaluateMegaFace.js';
import { checkReportOutput } from '../../outputs.js';
import { TARGET, wholeNumber } from '../options.js';
import { progressLine } from '../progressLine.js';
import { writeEvaluation } from '../writeEvaluation.js';
import { addIndexOptions, indexFrom, type IndexFlags } from './indexOptions.js';

interface MegaFaceFlags extends IndexFlags {
  data: string;
  probes?: string;
  distractors?: string;
  probeFeatures?: string;
  distractorFeatures?: string;
  cleaned: boolean;
  noisyProbes: NoisyProbes;
  flip: boolean;
  batchSize?: number;
  backend?: BackendChoice;
  output?: string;
}

async function runEvaluateMegaFace(target: string | undefined, flags: MegaFaceFlags): Promise<void> {
  const { output, backend, index: _, ...options } = flags;
  const index = indexFrom(flags);
  const hasFeatures = flags.probeFeatures !== undefined || flags.distractorFeatures !== undefined;
  if (!hasFeatures && target === undefined) {
    throw new HyperArcError(
      'E_RANGE',
      'run: expected a run, a model or --probe-features and --distractor-features, received none of them',
    );
  }
  if (output !== undefined) checkReportOutput('--output', output, 'MegaFace evaluation');
  const { evaluateMegaFace } = await import('../../evaluate/megaface/evaluateMegaFace.js');
  const { formatMegaFace } = await import('../../evaluate/megaface/format.js');
  const { openTarget } = await import('../openTarget.js');
  const log = (line: string) => void process.stderr.write(`${line}\n`);
  const { source, runPath, close } = await openTarget(target, !hasFeatures, backend, log);
  try {
    const evaluation = await evaluateMegaFace(
      { ...options, ...(index && { index }), log, onProgress: progressLine() },
      source,
    );
    process.stdout.write(`${formatMegaFace(evaluation)}\n`);
    writeEvaluation(evaluation, runPath && join(runPath, 'megaface.json'), output);
  } finally {
    close();
  }
}

/** `hyperarc evaluate-megaface`. */
export function registerEvaluateMegaFaceCommand(program: Command): void {
  const command = program
    .command('evaluate-megaface')
    .description('MegaFace with the probes of FaceScrub: rank-1 identification among distractors, TAR at FAR')
    .argument('[run|model]', `${TARGET}; not needed with features`)
    .requiredOption('--data <folder>', "InsightFace's test suite: the folder with facescrub_lst and megaface_lst")
    .option(
      '--probes <file>',
      "another list of FaceScrub's images: paths, or the devkit's JSON (default: facescrub_lst)",
    )
    .option(
      '--distractors <file>',
      "another list of distractors, such as the devkit's megaface_features_list.json_1000000_1 (default: megaface_lst)",
    )
    .option(
      '--probe-features <file>',
      'embeddings in the order of the probes, .npy or .safetensors, instead of a model',
    )
    .option('--distractor-features <file>', 'embeddings in the order of the distractors')
    .option('--no-cleaned', 'keep what the lists of noises name (published figures with "R" are cleaned)')
    .addOption(
      new Option(
        '--noisy-probes <rule>',
        "noisy probes stand for their person's mean, as in InsightFace, or take no part",
      )
        .choices(['center', 'drop'])
        .default('center'),
    );
  addIndexOptions(command)
    .option('--no-flip', 'do not add the embedding of the mirrored image')
    .option('--batch-size <n>', 'images of one forward pass', wholeNumber(1))
    .addOption(new Option('--backend <name>', 'tfjs backend').choices(['auto', 'tensorflow', 'wasm', 'cpu']))
    .option('-o, --output <file>', 'also write the evaluation to this JSON file')
    .action(runEvaluateMegaFace);
}
