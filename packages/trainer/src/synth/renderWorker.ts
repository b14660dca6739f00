import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import sharp from 'sharp';
import type { IdentityControl } from './controls.js';
import { identityFolder, sampleFile, type SynthParameters } from './layout.js';
import { renderFace } from './renderFace.js';

export interface PersonTask {
  readonly identity: number;
  readonly control: IdentityControl | undefined;
}

const { folder, parameters } = workerData as { folder: string; parameters: SynthParameters };
sharp.concurrency(1);

// A failure becomes the thread's 'error', which ends the whole work.
parentPort!.on('message', (task: PersonTask) => void drawPerson(task));

/** Draws every picture of a person, then answers with the person's number. */
async function drawPerson({ identity, control }: PersonTask): Promise<void> {
  const target = join(folder, identityFolder(identity));
  await mkdir(target, { recursive: true });
  for (let sample = 0; sample < parameters.samples; sample++) {
    await writeFile(
      join(target, sampleFile(sample)),
      await renderFace(parameters.seed, identity, sample, parameters.size, control),
    );
  }
  parentPort!.postMessage(identity);
}
