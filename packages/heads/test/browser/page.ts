/** The page: trains on each backend and posts what came of it to where it was loaded from. */
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-webgl';
// Registers the gradients of tfjs's ops.
import '@tensorflow/tfjs-layers';
import * as tf from '@tensorflow/tfjs-core';
import { trainHeads, type Training } from './train.js';

/** What the page posts: of each backend its trainings, or why there are none. */
export type PageResult = Record<'cpu' | 'webgl', Training[] | { readonly error: string }>;

async function trainOn(backend: string): Promise<Training[] | { readonly error: string }> {
  try {
    if (!(await tf.setBackend(backend))) return { error: `backend ${backend} does not start` };
    return await trainHeads();
  } catch (error) {
    return { error: (error as Error).stack ?? String(error) };
  }
}

const result: PageResult = { cpu: await trainOn('cpu'), webgl: await trainOn('webgl') };
await fetch('/result', { method: 'POST', body: JSON.stringify(result) });
