/** Files of a checkpoint folder. */
export const FILES = {
  state: 'state.json',
  config: 'config.yaml',
  backbone: 'backbone.safetensors',
  /** Only with training.ema. */
  ema: 'ema.safetensors',
  optimizer: 'optimizer.safetensors',
  head: 'head.safetensors',
  /** Names of the classes, in order. */
  identities: 'identities.json',
} as const;
