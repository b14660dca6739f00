import type { BackboneDescription } from '../backbones/index.js';

/** Bytes by part, for the backbone; the head plans its own (Device.plan). */
export interface BackbonePlan {
  parameterBytes: number;
  /** What the optimizer remembers of each weight that learns: a velocity (sgd with momentum) or two moments (adamw). */
  optimizerBytes: number;
  /** Moving average of all weights; 0 without one. */
  averageBytes: number;
  gradientBytes: number;
  /** Outputs of every layer for one micro-batch, kept for the backward pass. An estimate: fused layers keep less, workspaces come besides. */
  activationBytes: number;
}

const FLOAT_BYTES = 4;

export interface BackbonePlanOptions {
  /** Images of one forward pass. */
  batchSize: number;
  /** Forward passes of an update: above 1 a second set of gradients is held. */
  accumulate: number;
  /** Numbers that the optimizer holds for each weight. */
  stateTensors: 0 | 1 | 2;
  /** Whether the weights are averaged. */
  averaged: boolean;
}

export function planBackboneMemory(
  backbone: Pick<BackboneDescription, 'parameters' | 'trainableParameters' | 'activations'>,
  { batchSize, accumulate, stateTensors, averaged }: BackbonePlanOptions,
): BackbonePlan {
  const trained = backbone.trainableParameters * FLOAT_BYTES;
  return {
    parameterBytes: backbone.parameters * FLOAT_BYTES,
    optimizerBytes: stateTensors * trained,
    averageBytes: averaged ? backbone.parameters * FLOAT_BYTES : 0,
    gradientBytes: accumulate > 1 ? 2 * trained : trained,
    activationBytes: backbone.activations * batchSize * FLOAT_BYTES,
  };
}
