import { describe, expect, it } from 'vitest';

import { checkConfig } from '../../dist/config/index.js';
import { createSchedule, scheduleWarnings } from '../../dist/train/schedule.js';

function scheduleOf(schedule: object, training: object = { steps: 100 }, batchesPerEpoch = 10) {
  return createSchedule(checkConfig({ name: 'x', data: { root: 'r' }, schedule, training }, 'test'), batchesPerEpoch);
}

describe('createSchedule', () => {
  it('rises linearly through the warm-up, from above 0 to exactly 1', () => {
    const { factorAt, warmupSteps } = scheduleOf({ kind: 'constant', warmupEpochs: 0.5 });
    expect(warmupSteps).toBe(5);
    expect([0, 1, 2, 3, 4, 5, 99].map(factorAt)).toEqual([0.2, 0.4, 0.6, 0.8, 1, 1, 1]);
  });

  it('falls polynomially from the end of the warm-up', () => {
    const { factorAt } = scheduleOf({ kind: 'polynomial', power: 2, warmupSteps: 20 });
    expect(factorAt(20)).toBe(1);
    expect(factorAt(60)).toBeCloseTo(0.25, 12);
    expect(factorAt(99)).toBeCloseTo((1 / 80) ** 2, 12);
    expect(factorAt(100)).toBe(0);
  });

  it('falls along a cosine', () => {
    const { factorAt } = scheduleOf({ kind: 'cosine' });
    expect(factorAt(0)).toBe(1);
    expect(factorAt(25)).toBeCloseTo((1 + Math.SQRT1_2) / 2, 12);
    expect(factorAt(50)).toBeCloseTo(0.5, 12);
  });

  it('steps down at milestones, in epochs or in steps', () => {
    for (const milestones of [{ milestoneEpochs: [3, 5.5] }, { milestoneSteps: [30, 55] }]) {
      const { factorAt } = scheduleOf({ kind: 'step', factor: 0.5, ...milestones });
      expect([0, 29, 30, 54, 55, 99].map(factorAt)).toEqual([1, 1, 0.5, 0.5, 0.25, 0.25]);
    }
  });

  it('counts epochs in updates, not in forward passes', () => {
    const schedule = scheduleOf({ warmupEpochs: 1 }, { epochs: 3, accumulate: 4 }, 10);
    expect(schedule).toMatchObject({ stepsPerEpoch: 2.5, warmupSteps: 3, totalSteps: 8 });
    expect(scheduleOf({}, {}, 7).totalSteps).toBe(140);
  });
});

describe('scheduleWarnings', () => {
  it('tells of what comes after the last step', () => {
    const late = scheduleOf({ kind: 'step', warmupSteps: 101, milestoneSteps: [50, 100, 120] });
    expect(scheduleWarnings(late)).toEqual([
      'warning: schedule: the warm-up of 101 steps is not over when training ends at step 100; give a shorter one, or more steps',
      'warning: schedule: training ends at step 100, before the milestones 100, 120; give earlier ones, or more steps',
    ]);
    expect(scheduleWarnings(scheduleOf({ kind: 'step', warmupSteps: 100, milestoneEpochs: [5, 9.9] }))).toEqual([]);
  });
});
