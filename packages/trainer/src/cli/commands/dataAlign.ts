import { InvalidArgumentError, Option, type Command } from 'commander';
import { StopRequest } from '../../train/signals.js';
import { stoppedExit } from '../exitCodes.js';

interface AlignFlags {
  readonly root?: string;
  readonly size: number;
  readonly format: 'jpg' | 'png';
  readonly jobs?: number;
  readonly skipBad?: boolean;
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('Expected a whole number.');
  return Number(text);
}

/** `hyperarc data align`. */
export function registerAlignCommand(data: Command): void {
  data
    .command('align <landmarks> <out>')
    .description("Cut faces out, aligned by five landmarks as ArcFace's data are; written as a whole or not at all")
    .option('--root <folder>', "folder that the list's paths start from (default: the list's own)")
    .option('--size <pixels>', 'side of the aligned faces', wholeNumber, 112)
    .addOption(new Option('--format <name>', 'of the files').choices(['jpg', 'png']).default('jpg'))
    .option('--jobs <count>', 'images in work at once (default: the number of processors)', wholeNumber)
    .option('--skip-bad', 'leave bad rows out, instead of refusing the list')
    .action(async (landmarks: string, out: string, flags: AlignFlags) => {
      const { alignDataset } = await import('../../data/align/alignDataset.js');
      const interrupt = new AbortController();
      using stop = new StopRequest(() => interrupt.abort());
      try {
        const { images, skipped } = await alignDataset(landmarks, out, {
          ...flags,
          onProgress: (done, total) => {
            if (!process.stderr.isTTY || (done % 100 !== 0 && done !== total)) return;
            process.stderr.write(`\r\x1b[K${done}/${total} images${done === total ? '\n' : ''}`);
          },
          onWarning: (message) => console.warn(`warning: ${message}`),
          signal: interrupt.signal,
        });
        console.log(
          `${out}: ${images} faces of ${flags.size}×${flags.size} pixels${skipped > 0 ? `; ${skipped} rows left out` : ''}`,
        );
      } catch (error) {
        if (stop.signal === undefined) throw error;
        process.stderr.write(`\n${stop.signal}: stopped aligning; nothing was kept\n`);
        process.exitCode = stoppedExit(stop.signal);
      }
    });
}
