import * as tfl from '@tensorflow/tfjs-layers';

import { initializeBackbone } from './initialize.js';
import type { PlanOptions } from './iresnet.js';
import { fusedKit, stockKit } from './layerKit.js';
import { type BackbonePlan, INPUT, secondOutput } from './plan.js';
import { planBackbone } from './registry.js';

export interface BackboneOptions extends Partial<PlanOptions> {
  /** One of `backboneNames`. */
  name: string;
  /** Default true. False builds from tfjs's own layers: slower, for comparison. */
  fused?: boolean;
}

/** As {@link createBackbone}, from a plan of any widths. */
export function buildBackbone(plan: BackbonePlan, { seed = 0, fused = true } = {}): tfl.LayersModel {
  const addLayer = fused ? fusedKit : stockKit;
  const image = tfl.input({ shape: [plan.inputSize, plan.inputSize, 3], name: INPUT });
  const tensors = new Map<string, tfl.SymbolicTensor>([[INPUT, image]]);
  let output = image;
  for (const layer of plan.layers) {
    const inputs = layer.inputs.map((input) => tensors.get(input)!);
    const outputs = addLayer(layer.name, layer.operation, inputs);
    output = outputs[0]!;
    tensors.set(layer.name, output);
    if (outputs.length > 1) tensors.set(secondOutput(layer.name), outputs[1]!);
  }
  const model = tfl.model({ inputs: image, outputs: output, name: plan.name });
  initializeBackbone(model, plan, seed);
  return model;
}

/**
 * Builds and initialises a backbone on the current tfjs backend: images [B, inputSize, inputSize, 3] fp32, NHWC, RGB scaled to
 * [−1, 1], to embeddings [B, embeddingSize] (not normalised).
 *
 * `model.apply(x, {training: true})` uses and moves the batch-norm statistics; `predict` uses the running ones. The same
 * seed gives the same weights, on every backend. Errors as {@link planBackbone}.
 */
export function createBackbone({ name, fused = true, ...options }: BackboneOptions): tfl.LayersModel {
  return buildBackbone(planBackbone(name, options), { seed: options.seed ?? 0, fused });
}
