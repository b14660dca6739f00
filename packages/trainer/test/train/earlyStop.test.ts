import { describe, expect, it } from 'vitest';

import { EarlyStop } from '../../dist/train/earlyStop.js';

describe('EarlyStop', () => {
  it('stops when accuracy has not risen for `patience` verifications', () => {
    const stop = new EarlyStop({ on: 'accuracy', patience: 2, minDelta: 0 });
    const reasons = [0.6, 0.8, 0.8, 0.9, 0.85, 0.9].map((value, i) => {
      stop.see('accuracy', value, 10 * i);
      stop.see('loss', 1e9, 10 * i);
      return stop.reason;
    });
    expect(reasons.slice(0, 5)).toEqual(Array(5).fill(undefined));
    expect(reasons[5]).toBe('held-out accuracy has not risen in 2 verifications since 90.00% at step 30');
  });

  it('counts only a gain above minDelta, from the last best', () => {
    const stop = new EarlyStop({ on: 'loss', patience: 3, minDelta: 0.5 });
    // 4.6 and 4.5 are each within 0.5 of the best; 4.4 is not, so the slow fall goes on.
    for (const [step, loss] of [5, 4.6, 4.5, 4.4, 4.4, 4, 3.95].entries()) {
      stop.see('loss', loss, step);
      expect(stop.reason === undefined).toBe(step < 6);
    }
    expect(stop.reason).toBe('loss has not fallen by more than 0.5 in 3 lines of the log since 4.4000 at step 3');
  });

  it('goes on from a saved state, to which another patience applies', () => {
    const stop = new EarlyStop({ on: 'accuracy', patience: 2, minDelta: 0 });
    for (const value of [0.9, 0.8]) stop.see('accuracy', value, 1);
    const saved = JSON.parse(JSON.stringify(stop.state()));
    expect(saved).toEqual({ on: 'accuracy', best: { value: 0.9, step: 1 }, since: 1 });
    const resumed = new EarlyStop({ on: 'accuracy', patience: 3, minDelta: 0 }, saved);
    resumed.see('accuracy', 0.8, 2);
    expect(resumed.reason).toBeUndefined();
    resumed.see('accuracy', 0.8, 3);
    expect(resumed.reason).toMatch(/in 3 verifications since 90/);
    const other = new EarlyStop({ on: 'loss', patience: 1, minDelta: 0 }, saved);
    other.see('loss', 40, 3);
    expect(other.state()).toEqual({ on: 'loss', best: { value: 40, step: 3 }, since: 0 });
  });
});
