import { PassThrough } from 'node:stream';

import { expect, it } from 'vitest';

import { Progress, formatDuration, progressLine } from '../../dist/train/progress.js';

const record = {
  kind: 'train' as const,
  step: 20,
  epoch: 0.5,
  loss: 12.34567,
  targetCosine: 0.25,
  learningRate: 0.05,
  headLearningRate: 0.05,
  gradientNorm: 1,
  imagesPerSecond: 99.6,
  dataWaitShare: 0.034,
  stepsDone: 10,
  elapsedMs: 5000,
};

it('shows time left from the steps of this process alone', () => {
  expect(progressLine(record, 140)).toBe(
    'step 20/140  loss 12.3457  100 img/s  wait 3%  ETA 1m00s  epoch 0.50  cos 0.250  lr 0.0500',
  );
  expect([42_000, 187_000, 7_320_000].map(formatDuration)).toEqual(['42s', '3m07s', '2h02m']);
});

it('rewrites one line on a terminal, of the parts that fit, and writes lines elsewhere', () => {
  const terminal = Object.assign(new PassThrough(), { isTTY: true, columns: 80 });
  const progress = new Progress(terminal, 140);
  progress.update(record);
  progress.note('saved');
  expect(String(terminal.read())).toBe(
    '\r\x1b[Kstep 20/140  loss 12.3457  100 img/s  wait 3%  ETA 1m00s  epoch 0.50  cos 0.250\nsaved\n',
  );
  const plain = new PassThrough();
  new Progress(plain, 140).update(record);
  expect(String(plain.read())).toBe(`${progressLine(record, 140)}\n`);
});
