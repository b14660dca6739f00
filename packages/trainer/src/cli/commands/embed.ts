import { Option, type Command } from 'commander';

import type { BackendChoice } from '../../backend/index.js';
import { StopRequest } from '../../train/signals.js';
import { stoppedExit } from '../exitCodes.js';
import { numberFrom, TARGET, wholeNumber } from '../options.js';
import { progressLine } from '../progressLine.js';

interface EmbedFlags {
  readonly flip: boolean;
  readonly normalise: boolean;
  readonly identities: boolean;
  readonly batchSize?: number;
  readonly backend?: BackendChoice;
  readonly onBadImage?: 'stop' | 'skip';
  readonly maxBadImages?: number;
}

async function runEmbed(target: string, images: string, out: string, flags: EmbedFlags): Promise<void> {
  const { normalise, ...settings } = flags;
  const interrupt = new AbortController();
  using stop = new StopRequest(() => interrupt.abort());
  const progress = progressLine();
  try {
    const { embedToFile } = await import('../../embed/index.js');
    const result = await embedToFile(target, images, out, {
      ...settings,
      normalize: normalise,
      log: (line) => void process.stderr.write(`${line}\n`),
      onProgress: (done, total) => progress('embedded', done, total),
      signal: interrupt.signal,
    });
    const { images: count, identities, dim, list, leftOut, leftOutList, elapsedMs } = result;
    const whose = identities === undefined ? 'without identities' : `of ${identities} identities`;
    const seconds = elapsedMs / 1000;
    process.stdout.write(
      `${out}: ${count} images ${whose}, ${dim} numbers each, ${normalise ? 'unit length' : 'not scaled'}, ` +
        `in ${seconds.toFixed(1)} s (${(count / seconds).toFixed(0)} images/s)\n` +
        `${list}: ${identities === undefined ? 'path' : 'path and identity'} of each row\n` +
        (leftOutList === undefined
          ? ''
          : `${leftOutList}: images that cannot be decoded, without a row: ${leftOut.length} of ${count + leftOut.length}\n`),
    );
  } catch (error) {
    if (stop.signal === undefined) throw error;
    process.stderr.write(`\n${stop.signal}: stopped embedding; nothing was kept\n`);
    process.exitCode = stoppedExit(stop.signal);
  }
}

/** `hyperarc embed`. */
export function registerEmbedCommand(program: Command): void {
  program
    .command('embed')
    .description('write the embeddings of images for other programs, and beside them a list of what the rows are')
    .argument('<run|model>', TARGET)
    .argument('<images>', 'image folder, RecordIO, tar shards or a list; or a folder of images at any depth')
    .argument('<out>', 'file to write: .npy or .safetensors; the list has the same name with .csv')
    .option('--no-flip', 'do not add the embedding of the mirrored image')
    .option('--no-normalise', 'keep the lengths, instead of scaling to unit length')
    .option('--no-identities', "take a folder's images at every depth, and name nobody")
    .option('--batch-size <n>', 'images of one forward pass', wholeNumber(1))
    .addOption(
      new Option('--on-bad-image <what>', 'skip: an image that cannot be decoded gets no row').choices([
        'stop',
        'skip',
      ]),
    )
    .option('--max-bad-images <share>', 'with skip: most of the images that may be bad (0.001)', numberFrom(0, 1))
    .addOption(new Option('--backend <name>', 'tfjs backend').choices(['auto', 'tensorflow', 'wasm', 'cpu']))
    .action(runEmbed);
}
