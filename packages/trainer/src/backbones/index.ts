/** Backbones: images to embeddings, as tf.LayersModel. */
export { createBackbone, type BackboneOptions } from './create.js';
export { describeBackbone, type BackboneDescription, type StageSummary } from './describe.js';
export { freezeLayers } from './freeze.js';
export { frozenLayers } from './frozenLayers.js';
export { describePlannedGroups, type WeightGroup } from './weightGroups.js';
export {
  backboneNames,
  DEFAULT_EMBEDDING_SIZE,
  DEFAULT_INPUT_SIZE,
  planBackbone,
  visionTransformers,
} from './registry.js';
export { fromTorch, toTorch, torchWeights, type TorchWeight } from './torchNames.js';
export type { BackboneFamily, BackbonePlan, Operation, PlannedLayer } from './plan.js';
export type { PlanOptions } from './iresnet.js';
export { type StepTiming, timeBackbone } from './compare.js';
