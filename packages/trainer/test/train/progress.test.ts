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
    'step 20/140  epoch 0.50  loss 12.3457  cos 0.250  lr 0.0500  100 img/s  wait 3%  ETA 1m00s',
  );
  expect([42_000, 187_000, 7_320_000].map(formatDuration)).toEqual(['42s', '3m07s', '2h02m']);
});

it('rewrites one line on a terminal, cut to its width, and writes lines elsewhere', () => {
  const terminal = Object.assign(new PassThrough(), { isTTY: true, columns: 20 });
  const progress = new Progress(terminal, 140);
  progress.update(record);
  progress.note('saved');
  expect(String(terminal.read())).toBe('\r\x1b[Kstep 20/140  epoch \nsaved\n');
  const plain = new PassThrough();
  new Progress(plain, 140).update(record);
  expect(String(plain.read())).toBe(`${progressLine(record, 140)}\n`);
});
