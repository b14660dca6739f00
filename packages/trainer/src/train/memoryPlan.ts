import type { BackboneDescription } from '../backbones/index.js';

/** Bytes by part, for the backbone; the head plans its own (Device.plan). */
export interface BackbonePlan {
  parameterBytes: number;
  /** Velocities of SGD with momentum. */
  optimizerBytes: number;
  gradientBytes: number;
  /** Outputs of every layer for one micro-batch, kept for the backward pass. An estimate: fused layers keep less, workspaces come besides. */
  activationBytes: number;
}

const FLOAT_BYTES = 4;

/** @param batchSize images of one forward pass. @param accumulate forward passes of an update: above 1 a second set of gradients is held. */
export function planBackboneMemory(
  backbone: Pick<BackboneDescription, 'parameters' | 'trainableParameters' | 'activations'>,
  { batchSize, accumulate, momentum }: { batchSize: number; accumulate: number; momentum: number },
): BackbonePlan {
  const trained = backbone.trainableParameters * FLOAT_BYTES;
  return {
    parameterBytes: backbone.parameters * FLOAT_BYTES,
    optimizerBytes: momentum > 0 ? trained : 0,
    gradientBytes: accumulate > 1 ? 2 * trained : trained,
    activationBytes: backbone.activations * batchSize * FLOAT_BYTES,
  };
}
