import * as z from 'zod';

import { backboneNames } from '../backbones/registry.js';
import { augmentSchema } from './augmentSchema.js';
import { flag, increasing, integer, oneOf, real, text, texts } from './fields.js';
import { headSchema } from './headSchema.js';
import { optimizerSchema, type OptimizerConfig } from './optimizerSchema.js';
import { samplerSchema } from './samplerSchema.js';

/** Where the images are and how they are read. */
const data = z.strictObject({
  /** Image folder (one folder an identity), RecordIO file, or a folder that holds one. */
  root: text(/./, 'the path of a dataset'),
  /** Identities kept out of training, for verification. */
  heldOut: integer({ min: 0 }).default(0),
  /** Side of the square input in pixels; a multiple of 16. */
  imageSize: integer({ min: 16, max: 1024 }).default(112),
  flip: flag().default(true),
  /** A preset's name, or sections of single augmentations on top of a `preset` or of none. */
  augment: augmentSchema.optional(),
  /** Which images make a batch. Absent: shuffle. */
  sampler: samplerSchema.optional(),
  /** Decoding threads. */
  workers: integer({ min: 1, max: 64 }).default(1),
  /** Batches decoded ahead. */
  prefetch: integer({ min: 1, max: 256 }).default(4),
});

const backbone = z.strictObject({
  name: oneOf(backboneNames as readonly [string, ...string[]]).default('mobilefacenet'),
  embeddingSize: integer({ min: 1, max: 16384 }).default(512),
  /** Of the flattened features; not of a vision transformer. */
  dropout: real({ min: 0, max: 0.95 }).default(0),
  /** vit-*: share of the tokens dropped; of the last block's drop path; default 0.1. */
  patchDropout: real({ min: 0, max: 0.95 }).optional(),
  dropPath: real({ min: 0, max: 0.95 }).optional(),
  /** vit-*: default relu6. */
  activation: oneOf(['relu6', 'gelu']).optional(),
  /** Fused batch norm and PReLU; false uses the stock tfjs layers. */
  fused: flag().default(true),
  /** Layers that do not learn, by name: `stem`, `stage1/block2`, `stage*` (hyperarc summary). */
  frozen: z.array(text(/./, 'a list of names of layers'), { error: 'expected a list of names of layers' }).optional(),
  /** Start from the weights of a model folder, a run or a checkpoint. */
  weights: text(/./, 'the path of a model folder, a run or a checkpoint').optional(),
});

const rate = { min: 0, openMin: true } as const;

const schedule = z.strictObject({
  kind: oneOf(['constant', 'polynomial', 'cosine', 'step']).default('polynomial'),
  /** Linear rise from 0; give epochs or steps. */
  warmupEpochs: real({ min: 0 }).optional(),
  warmupSteps: integer({ min: 0 }).optional(),
  /** polynomial: (1 − progress)^power (default 1). */
  power: real(rate).optional(),
  /** step: where the rate is multiplied by `factor`, in epochs or steps. */
  milestoneEpochs: increasing().optional(),
  milestoneSteps: increasing().optional(),
  /** step: default 0.1. */
  factor: real({ min: 0, max: 1, openMin: true }).optional(),
});

const training = z.strictObject({
  /** Length of the run: epochs (default 20) or steps. */
  epochs: real(rate).optional(),
  steps: integer({ min: 1 }).optional(),
  /** Images of one forward pass. */
  batchSize: integer({ min: 1, max: 65536 }).default(128),
  /** Forward passes of one update; equal to one batch of accumulate × batchSize, but for batch statistics. */
  accumulate: integer({ min: 1, max: 4096 }).default(1),
  /** A moving average of the backbone's weights, for verification and the saved model. */
  ema: z
    .strictObject({
      decay: real({ min: 0, max: 0.999999, openMin: true }).default(0.999),
      /** Update n averages with min(decay, (1 + n)/(10 + n)). */
      warmup: flag().default(true),
    })
    .optional(),
  /** Steps between two lines of metrics.jsonl. */
  logEvery: integer({ min: 1 }).default(10),
});

const checkpoint = z.strictObject({
  /** Steps between two checkpoints; 0: at the end only. */
  every: integer({ min: 0 }).default(1000),
  /** Newest ones kept; the best one is kept besides. */
  keepLast: integer({ min: 1 }).default(2),
});

const evaluate = z.strictObject({
  /** Steps between two verifications, of the held-out identities and of the sets; 0: none during training. */
  every: integer({ min: 0 }).default(0),
  pairs: integer({ min: 20 }).default(6000),
  folds: integer({ min: 2, max: 100 }).default(10),
  /** With training.ema: which weights are verified and saved as the run's model (default ema). */
  weights: oneOf(['ema', 'raw']).optional(),
  /** Verification sets of InsightFace's form: lfw.bin, cfp_fp.bin, agedb_30.bin, … */
  sets: texts('paths of .bin files').default([]),
});

/** What `hyperarc start` draws when the data folder is absent. */
const synth = z.strictObject({
  identities: integer({ min: 2 }),
  samples: integer({ min: 2 }),
  imageSize: integer({ min: 16, max: 1024 }).default(112),
});

export const configSchema = z.strictObject({
  /** Run folders are NAME-001, NAME-002, … */
  name: text(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'letters, digits, dots, dashes'),
  seed: integer({ min: 0, max: 0x7fffffff }).default(1),
  backend: oneOf(['auto', 'tensorflow', 'wasm', 'cpu']).default('auto'),
  /** Folder that holds the run folders. */
  output: text(/./, 'a folder').default('runs'),
  data,
  backbone: backbone.prefault({}),
  head: headSchema.prefault({}),
  optimizer: optimizerSchema.prefault({}),
  schedule: schedule.prefault({}),
  training: training.prefault({}),
  checkpoint: checkpoint.prefault({}),
  evaluate: evaluate.prefault({}),
  synth: synth.optional(),
});

/** A checked configuration, every default filled in. */
export type Config = Omit<z.infer<typeof configSchema>, 'optimizer'> & { optimizer: OptimizerConfig };
