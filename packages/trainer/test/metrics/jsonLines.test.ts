import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { MetricsWriter, readMetrics } from '../../dist/metrics/jsonLines.js';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-metrics-'));
  path = join(folder, 'metrics.jsonl');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const record = (step: number) => ({ kind: 'evaluate' as const, step, epoch: step / 10, accuracy: 0.5, accuracyStd: 0 });

it('appends one object a line', () => {
  const writer = new MetricsWriter(path);
  writer.write(record(1));
  writer.write(record(2));
  writer.close();
  expect(readFileSync(path, 'utf8')).toBe(`${JSON.stringify(record(1))}\n${JSON.stringify(record(2))}\n`);
  expect(readMetrics(path)).toEqual([record(1), record(2)]);
});

it('drops on resumption what comes again, and a line cut short', () => {
  const writer = new MetricsWriter(path);
  for (const step of [10, 20, 30]) writer.write(record(step));
  writer.close();
  appendFileSync(path, '{"kind":"evaluate","st');
  expect(readMetrics(path).map(({ step }) => step)).toEqual([10, 20, 30]);
  const resumed = new MetricsWriter(path, 20);
  resumed.write(record(25));
  resumed.close();
  expect(readMetrics(path).map(({ step }) => step)).toEqual([10, 20, 25]);
});
