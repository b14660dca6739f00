import { readFileSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import sharp from 'sharp';

/** `sharp` alone, set as the loader sets it: reads image files and decodes them at the size they have. */
sharp.concurrency(1);
sharp.cache(false);

parentPort!.on('message', (files: readonly string[]) => void decode(files));

async function decode(files: readonly string[]): Promise<void> {
  let bytes = 0;
  for (const file of files) bytes += (await sharp(readFileSync(file)).raw().toBuffer()).length;
  parentPort!.postMessage(bytes);
}
