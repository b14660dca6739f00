import type { Command } from 'commander';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import type { AugmentPlan } from '../../data/augment/plan.js';
import { checkNewOutput } from '../../outputs.js';
import { addOutAlias, wholeNumber } from '../options.js';

interface PreviewFlags {
  augment: string;
  output: string;
  rows: number;
  columns: number;
  size?: number;
  seed: number;
}

/** The plan of a preset's name, or of a training configuration, with the size of its images. */
async function planOf(augment: string): Promise<{ plan: AugmentPlan; size?: number }> {
  const { AUGMENT_PRESET_NAMES, resolvePlan } = await import('../../data/augment/plan.js');
  const preset = AUGMENT_PRESET_NAMES.find((name) => name === augment);
  if (preset !== undefined) return { plan: resolvePlan({}, preset) };
  if (!/\.(ya?ml|json)$/.test(augment)) {
    const { nearest } = await import('../../config/suggest.js');
    const near = nearest(augment, AUGMENT_PRESET_NAMES);
    const fix = near === undefined ? '' : `; did you mean ${near}?`;
    const expected = `one of ${AUGMENT_PRESET_NAMES.join(', ')}, or a training configuration (.yaml)`;
    throw new HyperArcError('E_RANGE', `--augment: expected ${expected}, received ${augment}${fix}`);
  }
  const { loadConfig } = await import('../../config/index.js');
  const { data } = loadConfig(augment);
  if (data.augment === undefined) {
    throw new HyperArcError('E_RANGE', `--augment: expected a configuration with data.augment, received ${augment}`);
  }
  return { plan: data.augment, size: data.imageSize };
}

/** `hyperarc data preview`. */
export function registerDataPreview(data: Command): void {
  const command = data
    .command('preview <folder>')
    .description(
      'Draw what training would see: a row an image, first as it is, then augmented as in the first epochs (without mirroring)',
    )
    .requiredOption('--augment <preset|config>', 'a preset of data.augment, or a training configuration that has one')
    .requiredOption('-o, --output <file>', 'picture to write: .png, .jpg or .webp')
    .option('--rows <count>', 'images, of different identities where there are enough', wholeNumber(0), 8)
    .option('--columns <count>', 'pictures of each', wholeNumber(0), 10)
    .option('--size <pixels>', "side of the network's input (default: the configuration's, else 112)", wholeNumber(0))
    .option('--seed <number>', 'of the draws', wholeNumber(0), 1)
    .action(async (folder: string, { augment, output, ...flags }: PreviewFlags) => {
      checkNewOutput('--output', output, 'a picture');
      const { writeAugmentSheet } = await import('../../data/augmentSheet.js');
      const { plan, size = 112 } = await planOf(augment);
      const { rows, columns } = await writeAugmentSheet({ size, ...flags, dataset: folder, file: output, plan });
      const chances = Object.entries(plan).map(([name, { probability }]) => `${name} ${probability}`);
      console.log(`${output}: ${rows} images, ${columns - 1} times each; probabilities: ${chances.join(', ')}`);
    });
  addOutAlias(command);
}
