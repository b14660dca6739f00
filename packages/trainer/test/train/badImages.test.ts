import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { checkConfig, type Config } from '../../dist/config/index.js';
import { readMetrics } from '../../dist/metrics/jsonLines.js';
import { renderReport } from '../../dist/report/render.js';
import { RunFolder } from '../../dist/train/runFolder.js';
import { train } from '../../dist/train/train.js';
import { imageFolder } from '../data/fixtures.js';
import { bitsOf } from './interruptedRun.js';

const STEPS = 8;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-bad-images-'));
  await imageFolder(6, 4, 24, join(folder, 'faces'));
  for (const name of ['person_1/2.jpg', 'person_4/0.jpg']) writeFileSync(join(folder, 'faces', name), '');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const configure = (name: string, data: object): Config =>
  checkConfig(
    {
      name,
      seed: 3,
      backend: 'wasm',
      output: join(folder, 'runs'),
      data: { root: join(folder, 'faces'), imageSize: 16, ...data },
      backbone: { name: 'iresnet10-w16', embeddingSize: 8 },
      head: { scale: 16, margin: 0.2 },
      training: { steps: STEPS, batchSize: 4, accumulate: 2, logEvery: 2 },
      checkpoint: { every: 2 },
    },
    'test',
  );

/** Trains until the end, or `steps` steps long. @returns what was written. */
async function trainFor(run: RunFolder, config: Config, { resume = false, steps = Infinity } = {}): Promise<string> {
  const stream = new PassThrough();
  const written = text(stream);
  let asked = 0;
  const stop = {
    get signal() {
      return asked++ < steps ? undefined : ('SIGINT' as const);
    },
  };
  try {
    await train({ run, config, stream, stop, ...(resume && { resume: { fallBack: false } }) });
  } finally {
    stream.end();
  }
  return written;
}

const skip = { onBadImage: 'skip', maxBadImages: 0.1 };

it('trains on, logs each bad image once, and goes on from a checkpoint to the same bits and counts', async () => {
  const config = configure('skip', skip);
  const whole = RunFolder.create(config);
  const output = await trainFor(whole, config);
  const named = output.split('\n').filter((line) => line.startsWith('bad image'));
  expect(named.map((line) => /person_\d.\d.jpg/.exec(line)?.[0]).sort()).toEqual(['person_1/2.jpg', 'person_4/0.jpg']);
  expect(named[0]).toMatch(/^bad image, replaced: .*expected a JPEG, PNG or WebP image, received an empty file/);

  const metrics = readMetrics(whole.metricsPath);
  const bad = metrics.filter((record) => record.kind === 'bad-image');
  expect(bad.map(({ badImages }) => badImages)).toEqual([1, 2]);
  // 8 steps of 8 images: two epochs of 24 and 16 images of the third.
  const replaced = metrics.findLast((record) => record.kind === 'train')!.replacedImages!;
  expect(replaced).toBeGreaterThanOrEqual(4);
  expect(replaced).toBeLessThanOrEqual(6);

  const torn = RunFolder.create(config);
  await trainFor(torn, config, { steps: 1 });
  await trainFor(torn, config, { resume: true, steps: 4 });
  await trainFor(torn, configure('skip', { ...skip, workers: 2 }), { resume: true });
  const { metrics: wholeLines, ...wholeBits } = bitsOf(whole) as { metrics: unknown };
  const { metrics: tornLines, ...tornBits } = bitsOf(torn) as { metrics: unknown };
  expect(tornLines).toEqual(wholeLines);
  expect(tornBits).toEqual(wholeBits);

  const environment = { CPU: 'test' };
  const report = renderReport({ title: 'skip', createdAt: '2030-01-01T00:00:00.000Z', environment, metrics });
  expect(report.replace(/\s+/g, ' ')).toContain(
    `2 images could not be decoded; others stood for them, ${replaced} times by the last line of the log.`,
  );
  expect(report).toContain('person_4/0.jpg');
  expect(
    renderReport({
      title: 'skip',
      createdAt: '',
      environment,
      metrics: metrics.filter(({ kind }) => kind === 'train'),
    }),
  ).not.toContain('decoded');
});

it('stops by default, and above the share; such a run goes on once it may', async () => {
  const stopping = configure('stop', {});
  await expect(trainFor(RunFolder.create(stopping), stopping)).rejects.toThrow(
    /E_FORMAT: .*person_\d.\d\.jpg: expected/,
  );

  const strict = configure('strict', { ...skip, maxBadImages: 0.05 });
  const run = RunFolder.create(strict);
  await expect(trainFor(run, strict)).rejects.toThrow(
    /E_FORMAT: data\.maxBadImages: expected at most a share of 0\.05 .*received 2 of 24/,
  );
});
