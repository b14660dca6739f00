import { availableParallelism } from 'node:os';

import type { PartialFC } from '@hyperarc/heads/engine';

import type { BackendInfo } from '../backend/index.js';
import type { Config } from '../config/index.js';
import type { TrainingState } from '../checkpoint/trainingState.js';

/** What the last bits of a run depend on besides its configuration. */
export type Arithmetic = TrainingState['arithmetic'];

type Parts = { backend: BackendInfo; head: PartialFC; config: Pick<Config, 'training'> };

/** What computes the head: `avx512`, or on a GPU the kernels and its architecture, `mma-bf16-d512 on sm_90a`. */
export function engineOf({ head, config }: Omit<Parts, 'backend'>): string {
  const { kind, instructionSet } = head.centers.device.info;
  return kind === 'cpu' ? instructionSet : `${head.centers.kernels(config.training.batchSize)} on ${instructionSet}`;
}

/** That of this process. TensorFlow splits its sums by the number of processors; the engine does not, but its instruction set counts. */
export function arithmeticOf({ backend, head, config }: Parts): Arithmetic {
  const { name, tensorflowVersion } = backend;
  return {
    backend: tensorflowVersion === undefined ? name : `${name} ${tensorflowVersion}`,
    processors: availableParallelism(),
    engine: engineOf({ head, config }),
  };
}

/** Says how `now` differs from `was`; undefined where a resumed run will have the bits of an uninterrupted one. */
export function arithmeticDifference(was: Arithmetic, now: Arithmetic): string | undefined {
  const keys = Object.keys(now) as (keyof Arithmetic)[];
  const changes = keys.filter((key) => was[key] !== now[key]).map((key) => `${key} ${was[key]}, now ${now[key]}`);
  return changes.length === 0 ? undefined : `saved with ${changes.join('; ')}: results will differ in the last digits`;
}
