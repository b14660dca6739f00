import { parentPort } from 'node:worker_threads';
import sharp from 'sharp';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { decodeImage } from './decodeImage.js';
import type { ChangeTask, DecodeAnswer, DecodeTask } from './decodePool.js';
import { LocationReader, nameOfLocation } from './location.js';
import { changePixels } from './pixelChange.js';

sharp.concurrency(1);
// Images are decoded once each: libvips need not remember them.
sharp.cache(false);

const reader = new LocationReader();

parentPort!.on('message', (task: DecodeTask | ChangeTask) => void perform(task));

/** Decodes the images of a task into one array [images, size, size, 3] of bytes. */
async function decode({ images, size }: DecodeTask): Promise<Uint8Array<ArrayBuffer>> {
  const imageBytes = size * size * 3;
  const pixels = new Uint8Array(images.length * imageBytes);
  for (const [i, image] of images.entries()) {
    pixels.set(await decodeImage(await reader.read(image), size, nameOfLocation(image)), i * imageBytes);
  }
  return pixels;
}

/** Answers with the pixels of a task, or with the first error. */
async function perform(task: DecodeTask | ChangeTask): Promise<void> {
  const { id } = task;
  let answer: DecodeAnswer;
  const transfer: ArrayBuffer[] = [];
  try {
    const pixels = 'change' in task ? await changePixels(task) : await decode(task);
    transfer.push(pixels.buffer);
    answer = { id, pixels };
  } catch (error) {
    // Errors lose their class on the way to another thread: send what the other side needs to make it again.
    const code = error instanceof HyperArcError ? error.code : 'E_INTERNAL';
    const message = error instanceof Error ? error.message.replace(`${code}: `, '') : String(error);
    answer = { id, error: { code, message } };
  }
  parentPort!.postMessage(answer, transfer);
}
