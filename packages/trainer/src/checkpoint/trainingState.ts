import { readFileSync, writeFileSync } from 'node:fs';

import { HyperArcError } from '@hyperarc/kernels-cuda';
import * as z from 'zod';

const count = z.number().int().min(0);

const stateSchema = z.strictObject({
  /** Updates made. */
  step: count,
  /** What computed them; with another the last bits differ. */
  arithmetic: z.strictObject({ backend: z.string(), processors: count, engine: z.string() }),
  data: z.strictObject({ classes: count, images: count, sha256: z.string() }),
  loader: z.strictObject({
    epoch: count,
    position: count,
    seed: count,
    batchSize: count,
    samples: count,
    /** Absent for plain shuffling. */
    sampler: z.string().optional(),
    /** Images that could not be decoded; absent while there was none. */
    bad: z.strictObject({ replaced: count, images: z.array(count).readonly() }).optional(),
  }),
  /** Kind of the backbone's optimizer; absent in states written when there was only sgd. */
  optimizer: z.string().optional(),
  /** Updates in the moving average of the weights, where the run has one. */
  ema: z.strictObject({ updates: count }).optional(),
  /** The margin head's own: where its sampler stands. */
  head: z.unknown(),
  /** The numbers of the margin; absent in states written before they were recorded. */
  margin: z.record(z.string(), z.unknown()).optional(),
  /** What decides when the run ends, and which checkpoint is the best; absent in states written before they were recorded. */
  control: z
    .strictObject({
      /** The last ones measured. */
      loss: z.number().nullable(),
      accuracy: z.number().nullable(),
      skips: z.strictObject({ total: count, inARow: count }),
      earlyStop: z
        .strictObject({
          on: z.enum(['accuracy', 'loss']),
          best: z.strictObject({ value: z.number(), step: count }).nullable(),
          since: count,
        })
        .optional(),
    })
    .optional(),
  window: z.strictObject({ steps: count, loss: z.number(), targetCosine: z.number(), gradientNorm: z.number() }),
});

/** What a checkpoint holds besides arrays and the configuration. */
export type TrainingState = z.infer<typeof stateSchema>;

export function writeTrainingState(path: string, state: TrainingState): void {
  writeFileSync(path, `${JSON.stringify(state, null, 2)}\n`);
}

/** @throws HyperArcError E_FORMAT if the file is not a training state. */
export function readTrainingState(path: string): TrainingState {
  try {
    return stateSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    throw new HyperArcError('E_FORMAT', `${path}: expected a training state; ${(cause as Error).message}`, { cause });
  }
}
