/** The page: trains on each backend and posts what came of it to where it was loaded from. */
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-webgl';
// Registers the gradients of tfjs's ops.
import '@tensorflow/tfjs-layers';
import * as tf from '@tensorflow/tfjs-core';
import { edges, type Edges } from './edges.js';
import { trainHeads, type Training } from './train.js';

/** What the page posts: of each backend its trainings and its edges, or why there are none. */
export interface PageResult {
  readonly cpu: OnBackend;
  readonly webgl: OnBackend;
}
export type OnBackend = { readonly trainings: Training[]; readonly edges: Edges } | { readonly error: string };

async function runOn(backend: string): Promise<OnBackend> {
  try {
    if (!(await tf.setBackend(backend))) return { error: `backend ${backend} does not start` };
    return { trainings: await trainHeads(), edges: edges() };
  } catch (error) {
    return { error: (error as Error).stack ?? String(error) };
  }
}

const result: PageResult = { cpu: await runOn('cpu'), webgl: await runOn('webgl') };
await fetch('/result', { method: 'POST', body: JSON.stringify(result) });
