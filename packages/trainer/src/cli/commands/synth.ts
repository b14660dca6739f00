import type { Command } from 'commander';

import type { SynthControls } from '../../synth/controls.js';
import { StopRequest } from '../../train/signals.js';
import { stoppedExit } from '../exitCodes.js';
import { addOutAlias, decimal, wholeNumber } from '../options.js';

interface SynthOptions {
  output: string;
  identities: number;
  samples: number;
  seed: number;
  size: number;
  workers?: number;
  contactSheet?: string;
  yaw?: string;
  age?: string;
  groups?: string;
  masks?: number;
}

/** `hyperarc synth`: writes a synthetic face dataset. The drawing library is loaded only when the action runs. */
export function registerSynthCommand(program: Command): void {
  const command = program
    .command('synth')
    .description('Draw a synthetic face dataset (an image folder, one folder an identity)')
    .requiredOption('-o, --output <folder>', 'folder to write; absent, empty, or holding the same dataset')
    .option('--identities <count>', 'people', wholeNumber(0), 400)
    .option('--samples <count>', 'images of each', wholeNumber(0), 20)
    .option('--seed <number>', 'names the dataset: the same seed gives the same bytes', wholeNumber(0), 1)
    .option('--size <pixels>', 'side of an image', wholeNumber(0), 112)
    .option('--yaw <degrees:share,…>', 'turn of the heads, 0 to 60: 0:0.5,30:0.3,60:0.2')
    .option('--age <years:share,…>', '16 to 80, or young, middle, old: young:0.4,middle:0.4,old:0.2')
    .option('--groups <name:share,…>', 'groups of people, by skin tone from light to dark: a:0.7,b:0.3')
    .option('--masks <share>', 'share of the pictures with a mask on mouth and nose', decimal)
    .option('--workers <count>', 'threads (default: the number of processors)', wholeNumber(0))
    .option('--contact-sheet <file>', 'also draw a table of faces: a row an identity, a column a sample')
    .action(async (options: SynthOptions) => {
      const { checkContactSheet, writeContactSheet, writeSynthDataset } = await import('../../synth/index.js');
      const { parseShares } = await import('../../synth/controls.js');
      const { output, contactSheet, workers, yaw, age, groups, masks, ...parameters } = options;
      const controls: SynthControls = {
        ...(yaw !== undefined && { yaw: parseShares('yaw', yaw) }),
        ...(age !== undefined && { age: parseShares('age', age) }),
        ...(groups !== undefined && { groups: parseShares('groups', groups) }),
        ...(masks !== undefined && { masks }),
      };
      if (contactSheet !== undefined) checkContactSheet(contactSheet);
      const interrupt = new AbortController();
      using stop = new StopRequest(() => interrupt.abort());
      try {
        const result = await writeSynthDataset({
          ...parameters,
          out: output,
          controls,
          ...(workers === undefined ? {} : { workers }),
          onProgress: progressLine(),
          signal: interrupt.signal,
        });
        const seconds = result.elapsedMs / 1000;
        console.log(
          result.status === 'already there'
            ? `${output}: already there (${result.images} images)`
            : `${output}: ${result.images} images of ${options.identities} identities in ${seconds.toFixed(1)} s (${(result.images / seconds).toFixed(0)} images/s)`,
        );
        if (contactSheet !== undefined) {
          await writeContactSheet({ dataset: output, file: contactSheet });
          console.log(`${contactSheet}: contact sheet`);
        }
      } catch (error) {
        if (stop.signal === undefined) throw error;
        process.stderr.write(`\n${stop.signal}: stopped drawing; nothing was kept\n`);
        process.exitCode = stoppedExit(stop.signal);
      }
    });
  addOutAlias(command);
}

/** Rewrites one line on a terminal; on anything else prints a line every tenth of the work. */
function progressLine(): (images: number, total: number) => void {
  const started = performance.now();
  let printedTenth = 0;
  return (images, total) => {
    const rate = (images / ((performance.now() - started) / 1000)).toFixed(0);
    const line = `drawing ${images}/${total} images, ${rate} images/s`;
    if (process.stderr.isTTY) {
      process.stderr.write(`\r\x1b[K${line}${images === total ? '\n' : ''}`);
    } else if (Math.floor((10 * images) / total) > printedTenth) {
      printedTenth = Math.floor((10 * images) / total);
      process.stderr.write(`${line}\n`);
    }
  };
}
