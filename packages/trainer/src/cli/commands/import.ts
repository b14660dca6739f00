import { Option, type Command } from 'commander';

import { backboneNames, DEFAULT_INPUT_SIZE } from '../../backbones/registry.js';
import type { BackendChoice } from '../../backend/index.js';
import { wholeNumber } from '../options.js';

interface ImportFlags {
  backbone: string;
  inputSize?: number;
  embeddingSize?: number;
  activation?: 'relu6' | 'gelu';
  backend?: BackendChoice;
}

async function runImport(weights: string, out: string, flags: ImportFlags): Promise<void> {
  const { importModel } = await import('../../import/index.js');
  const result = await importModel({ weights, out, ...flags });
  const { tensors, dtypes, notes, inputSize, embeddingSize, lengths } = result;
  process.stdout.write(
    [
      `${out}: ${flags.backbone}, images ${inputSize}×${inputSize}×3 (RGB, (x − 127.5)/127.5) to ${embeddingSize}`,
      `${tensors} tensors of ${dtypes.join(', ')} from ${weights}${notes.map((note) => `, ${note}`).join('')}`,
      `embeddings of two images of noise are ${lengths.map((length) => length.toPrecision(3)).join(' and ')} long`,
      '',
    ].join('\n'),
  );
}

/** `hyperarc import`. */
export function registerImportCommand(program: Command): void {
  program
    .command('import')
    .description('make a model folder of the weights of a published PyTorch network; nothing in the file is run')
    .argument('<weights>', 'state dict of PyTorch: .pt, .pth or .safetensors')
    .argument('<out>', 'model folder to write')
    .addOption(
      new Option('--backbone <name>', 'the network that the weights are of')
        .choices(backboneNames)
        .makeOptionMandatory(),
    )
    .option('--input-size <pixels>', `height and width of the images (default: ${DEFAULT_INPUT_SIZE})`, wholeNumber(1))
    .option('--embedding-size <D>', 'length of an embedding (default: as in the weights)', wholeNumber(1))
    .addOption(
      new Option(
        '--activation <name>',
        'of the MLPs of a vit-*, which the weights do not tell (default: relu6)',
      ).choices(['relu6', 'gelu']),
    )
    .addOption(new Option('--backend <name>', 'tfjs backend').choices(['auto', 'tensorflow', 'wasm', 'cpu']))
    .action(runImport);
}
