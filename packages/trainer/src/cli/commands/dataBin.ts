import type { Command } from 'commander';

import { checkNewOutput } from '../../outputs.js';
import { StopRequest } from '../../train/signals.js';
import { stoppedExit } from '../exitCodes.js';
import { addOutAlias, wholeNumber } from '../options.js';

interface BinFlags {
  pairs: string;
  output: string;
  size: number;
}

async function runDataBin(root: string, { pairs: list, output, size }: BinFlags): Promise<void> {
  checkNewOutput('--output', output, 'a file');
  const [{ readPairs }, { writeVerificationBin }] = await Promise.all([
    import('../../data/pairs.js'),
    import('../../evaluate/sets/writeVerificationBin.js'),
  ]);
  const interrupt = new AbortController();
  using stop = new StopRequest(() => interrupt.abort());
  try {
    const { pairs, samePairs, images, resized } = await writeVerificationBin(
      output,
      root,
      await readPairs(list, { root }),
      {
        size,
        onWarning: (message) => console.warn(`warning: ${message}`),
        signal: interrupt.signal,
      },
    );
    const cut = resized === 0 ? '' : `, ${resized} of them resized to ${size} × ${size}`;
    console.log(`${output}: ${samePairs} same and ${pairs - samePairs} different pairs of ${images} images${cut}`);
  } catch (error) {
    if (stop.signal === undefined) throw error;
    process.stderr.write(`${stop.signal}: stopped writing; nothing was kept\n`);
    process.exitCode = stoppedExit(stop.signal);
  }
}

/** `hyperarc data bin`. */
export function registerDataBinCommand(data: Command): void {
  const command = data
    .command('bin <folder>')
    .description("Write a verification set of InsightFace's form, such as lfw.bin, from images and a list of pairs")
    .requiredOption('--pairs <file>', "LFW's pairs.txt, or lines `a b 0|1 [fold]` as `hyperarc data pairs` writes")
    .requiredOption('-o, --output <file>', '.bin file to write')
    .option('--size <pixels>', 'side of the square images; others are cut and resized', wholeNumber(0), 112)
    .action(runDataBin);
  addOutAlias(command);
}
