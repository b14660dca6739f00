import { parentPort } from 'node:worker_threads';
import sharp from 'sharp';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { decodeImage } from './decodeImage.js';
import type { ChangeTask, DecodeAnswer, DecodeFailure, DecodeTask } from './decodePool.js';
import { LocationReader, nameOfLocation } from './location.js';
import { changePixels } from './pixelChange.js';

sharp.concurrency(1);
// Images are decoded once each: libvips need not remember them.
sharp.cache(false);

const reader = new LocationReader();

parentPort!.on('message', (task: DecodeTask | ChangeTask) => void perform(task));

/** Decodes the images of a task into one array [images, size, size, 3] of bytes. */
async function decode({ images, size, passOver }: DecodeTask): Promise<PixelsAndFailures> {
  const imageBytes = size * size * 3;
  const pixels = new Uint8Array(images.length * imageBytes);
  const failures: DecodeFailure[] = [];
  for (const [at, image] of images.entries()) {
    try {
      pixels.set(await decodeImage(await reader.read(image), size, nameOfLocation(image)), at * imageBytes);
    } catch (error) {
      // Anything else is not the image's fault.
      if (!passOver || !(error instanceof HyperArcError) || error.code !== 'E_FORMAT') throw error;
      failures.push({ at, reason: textOf(error) });
    }
  }
  return { pixels, failures };
}

interface PixelsAndFailures {
  readonly pixels: Uint8Array<ArrayBuffer>;
  readonly failures: readonly DecodeFailure[];
}

const textOf = ({ code, message }: HyperArcError): string => message.replace(`${code}: `, '');

/** Answers with the pixels of a task, or with the first error. */
async function perform(task: DecodeTask | ChangeTask): Promise<void> {
  const { id } = task;
  let answer: DecodeAnswer;
  const transfer: ArrayBuffer[] = [];
  try {
    const { pixels, failures } =
      'change' in task ? { pixels: await changePixels(task), failures: [] } : await decode(task);
    transfer.push(pixels.buffer);
    answer = { id, pixels, failures };
  } catch (error) {
    // Errors lose their class on the way to another thread: send what the other side needs to make it again.
    const code = error instanceof HyperArcError ? error.code : 'E_INTERNAL';
    const message = error instanceof Error ? error.message.replace(`${code}: `, '') : String(error);
    answer = { id, error: { code, message } };
  }
  parentPort!.postMessage(answer, transfer);
}
