import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import sharp from 'sharp';
import { identityFolder, sampleFile, type SynthParameters } from './layout.js';
import { renderFace } from './renderFace.js';

/** Draws the people whose numbers it is sent, and answers each with the same number when the person's folder is written. */
const { folder, parameters } = workerData as { folder: string; parameters: SynthParameters };
sharp.concurrency(1);

parentPort!.on('message', async (identity: number) => {
  const target = join(folder, identityFolder(identity));
  await mkdir(target, { recursive: true });
  for (let sample = 0; sample < parameters.samples; sample++) {
    await writeFile(
      join(target, sampleFile(sample)),
      await renderFace(parameters.seed, identity, sample, parameters.size),
    );
  }
  parentPort!.postMessage(identity);
});
