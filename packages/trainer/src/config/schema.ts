import * as z from 'zod';

import { backboneNames } from '../backbones/registry.js';
import { augmentSchema } from './augmentSchema.js';
import { flag, increasing, integer, integerOr, oneOf, real, text, texts } from './fields.js';
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
  /** What training does with an image that cannot be decoded. skip: another one stands for it (data/badImages). */
  onBadImage: oneOf(['stop', 'skip']).default('stop'),
  /** skip: share of the training images that may be bad; one more stops the run. Default 0.001. */
  maxBadImages: real({ min: 0, max: 1 }).optional(),
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
  /** Images of one forward pass; auto: as many as fit in memory (train/autoBatch). */
  batchSize: integerOr('auto', { min: 1, max: 65536 }).default(128),
  /** auto: memory that training may take, such as 6GiB. Absent: four fifths of what is free. */
  maxMemory: text(/^\d+(\.\d+)?[MG]iB$/, 'an amount of memory such as 6GiB or 800MiB').optional(),
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
  /** Ends the run when what it watches has not become better by more than minDelta for `patience` measurements. */
  earlyStop: z
    .strictObject({
      patience: integer({ min: 1 }),
      minDelta: real({ min: 0 }).default(0),
      /** accuracy: of the verifications during training; loss: the mean of each line of the log. */
      on: oneOf(['accuracy', 'loss']).default('accuracy'),
    })
    .optional(),
  /** Time of one `hyperarc train`, after which it saves and stops; give one of them. */
  maxMinutes: real(rate).optional(),
  maxHours: real(rate).optional(),
  /** What is done with a step whose loss or gradients are not finite. */
  onNonFinite: oneOf(['stop', 'skip']).default('stop'),
  /** skip: this many steps in a row; one more stops the run. Default 10. */
  maxSkips: integer({ min: 1 }).optional(),
});

const checkpoint = z.strictObject({
  /** Steps between two checkpoints; 0: at the end only. */
  every: integer({ min: 0 }).default(1000),
  /** Newest ones kept. */
  keepLast: integer({ min: 1 }).default(2),
  /** Best ones kept besides: by held-out accuracy where it is verified during training, else by loss. */
  keepBest: integer({ min: 0 }).default(1),
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

/** A checked configuration, every default filled in; `training.batchSize` may still be `auto`. */
export type ConfigRequest = Omit<z.infer<typeof configSchema>, 'optimizer'> & { optimizer: OptimizerConfig };

/** A configuration that can be trained. */
export type Config = ConfigRequest & { training: { batchSize: number } };

/** The configuration with a number for `training.batchSize`, and without the limit that `auto` had. */
export function withBatchSize(request: ConfigRequest, batchSize: number): Config {
  const { maxMemory: _, ...training } = request.training;
  return { ...request, training: { ...training, batchSize } };
}
