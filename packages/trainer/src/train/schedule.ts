import type { Config } from '../config/index.js';

/** Lengths in updates, and the factor on the learning rates at each of them. */
export interface Schedule {
  readonly totalSteps: number;
  readonly warmupSteps: number;
  /** Where the rate is multiplied by `schedule.factor`; none but of the kind step. */
  readonly milestones: readonly number[];
  /** Updates in an epoch; not always whole with gradient accumulation. */
  readonly stepsPerEpoch: number;
  /** @param step 0-based index of the update about to be made. @returns a factor in [0, 1]. */
  factorAt(step: number): number;
}

const DEFAULT_EPOCHS = 20;

/**
 * Resolves a configuration's schedule. After a linear warm-up to 1 (never 0 at the first step):
 * constant 1; polynomial (1 − p)^power; cosine (1 + cos πp)/2; step factor^(milestones passed), with
 * p = (step − warmup)/(total − warmup).
 * @param batchesPerEpoch batches of `training.batchSize` the loader gives in an epoch.
 */
export function createSchedule(config: Pick<Config, 'schedule' | 'training'>, batchesPerEpoch: number): Schedule {
  const { schedule, training } = config;
  const stepsPerEpoch = batchesPerEpoch / training.accumulate;
  const inSteps = (epochs: number): number => Math.round(epochs * stepsPerEpoch);
  const totalSteps = training.steps ?? Math.max(1, inSteps(training.epochs ?? DEFAULT_EPOCHS));
  const warmupSteps = schedule.warmupSteps ?? inSteps(schedule.warmupEpochs ?? 0);
  const milestones =
    (schedule.kind === 'step' && (schedule.milestoneSteps ?? schedule.milestoneEpochs?.map(inSteps))) || [];

  function factorAt(step: number): number {
    if (step < warmupSteps) return (step + 1) / warmupSteps;
    const progress = Math.min(1, (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps));
    switch (schedule.kind) {
      case 'constant':
        return 1;
      case 'polynomial':
        return (1 - progress) ** (schedule.power ?? 1);
      case 'cosine':
        return (1 + Math.cos(Math.PI * progress)) / 2;
      case 'step':
        return (schedule.factor ?? 0.1) ** milestones.filter((milestone) => step >= milestone).length;
    }
  }
  return { totalSteps, warmupSteps, milestones, stepsPerEpoch, factorAt };
}

/** What of a schedule comes too late to have an effect, a line each: a run that is shorter than the schedule was meant for. */
export function scheduleWarnings({ totalSteps, warmupSteps, milestones }: Schedule): string[] {
  const lines: string[] = [];
  if (warmupSteps > totalSteps) {
    lines.push(
      `warning: schedule: the warm-up of ${warmupSteps} steps is not over when training ends at step ${totalSteps}; give a shorter one, or more steps`,
    );
  }
  const late = milestones.filter((milestone) => milestone >= totalSteps);
  if (late.length > 0) {
    lines.push(
      `warning: schedule: training ends at step ${totalSteps}, before the milestones ${late.join(', ')}; give earlier ones, or more steps`,
    );
  }
  return lines;
}
