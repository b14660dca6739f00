import { join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda';
import { Option, type Command } from 'commander';

import type { BackendChoice } from '../../backend/index.js';
import type { IjbProtocol } from '../../evaluate/ijb/layout.js';
import type { TarRule } from '../../evaluate/tarRules.js';
import { checkReportOutput } from '../../outputs.js';
import { TARGET, wholeNumber } from '../options.js';
import { progressLine } from '../progressLine.js';
import { writeEvaluation } from '../writeEvaluation.js';

interface IjbFlags {
  data: string;
  protocol: IjbProtocol;
  features?: string;
  saveFeatures?: string;
  flip: boolean;
  normScore: boolean;
  detectorScore: boolean;
  rule: TarRule;
  batchSize?: number;
  backend?: BackendChoice;
  output?: string;
}

async function runEvaluateIjb(target: string | undefined, flags: IjbFlags): Promise<void> {
  const { features, saveFeatures, batchSize, output, backend, ...options } = flags;
  if (features === undefined && target === undefined) {
    throw new HyperArcError('E_RANGE', 'run: expected a run, a model or --features FILE, received none of them');
  }
  if (features !== undefined && saveFeatures !== undefined) {
    throw new HyperArcError(
      'E_RANGE',
      '--save-features: expected a model that embeds, received --features too; leave one out',
    );
  }
  if (output !== undefined) checkReportOutput('--output', output, 'IJB evaluation');
  const { evaluateIjb } = await import('../../evaluate/ijb/evaluateIjb.js');
  const { formatIjb } = await import('../../evaluate/ijb/format.js');
  const { openTarget } = await import('../openTarget.js');
  const log = (line: string) => void process.stderr.write(`${line}\n`);
  const { source, runPath, close } = await openTarget(target, features === undefined, backend, log);
  try {
    const progress = progressLine();
    const evaluation = await evaluateIjb(
      {
        ...options,
        ...(features !== undefined && { features }),
        ...(saveFeatures !== undefined && { saveFeatures }),
        ...(batchSize !== undefined && { batchSize }),
        log,
        onProgress: (done, total) => progress('embedded', done, total),
      },
      source,
    );
    process.stdout.write(`${formatIjb(evaluation)}\n`);
    writeEvaluation(evaluation, runPath && join(runPath, `${flags.protocol}.json`), output);
  } finally {
    close();
  }
}

/** `hyperarc evaluate-ijb`. */
export function registerEvaluateIjbCommand(program: Command): void {
  program
    .command('evaluate-ijb')
    .description('IJB-B or IJB-C: 1:1 verification of templates (TAR at FAR), 1:N identification (TPIR at FPIR, CMC)')
    .argument('[run|model]', `${TARGET}; not needed with --features`)
    .requiredOption('--data <folder>', 'the folder with meta and loose_crop')
    .addOption(new Option('--protocol <name>', 'which benchmark').choices(['ijbb', 'ijbc']).default('ijbc'))
    .option('--features <file>', 'embeddings in the order of the lists, .npy or .safetensors, instead of a model')
    .option('--save-features <file>', 'keep the embeddings (.safetensors) for --features')
    .option('--no-flip', 'do not add the embedding of the mirrored image')
    .option('--no-norm-score', 'scale embeddings to length 1 before they are added up')
    .option('--no-detector-score', 'do not weight images by how sure the detector was')
    .addOption(
      new Option('--rule <name>', 'TAR at the nearest FAR, as published, or at the largest FAR not above')
        .choices(['nearest', 'strict'])
        .default('nearest'),
    )
    .option('--batch-size <n>', 'images of one forward pass', wholeNumber(1))
    .addOption(new Option('--backend <name>', 'tfjs backend').choices(['auto', 'tensorflow', 'wasm', 'cpu']))
    .option('-o, --output <file>', 'also write the evaluation to this JSON file')
    .action(runEvaluateIjb);
}
