import type { Optimizer } from './binding.js';

/** 'momentum' is v of SGD, or m, the first moment, of AdamW; 'secondMoment' is v of AdamW. */
export type CentersBuffer = 'weights' | 'momentum' | 'secondMoment';

export const BUFFERS: readonly CentersBuffer[] = ['weights', 'momentum', 'secondMoment'];

/** The buffers [C, K, D] that centres hold, in the order of their file. */
export function buffersOf({ optimizer, momentum }: { optimizer: Optimizer; momentum: boolean }): CentersBuffer[] {
  if (optimizer === 'adamw') return [...BUFFERS];
  return momentum ? ['weights', 'momentum'] : ['weights'];
}
