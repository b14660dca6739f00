import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { main } from '../../dist/cli/main.js';
import { compareRuns, formatComparison, renderComparison } from '../../dist/compare/index.js';
import { checkConfig } from '../../dist/config/index.js';
import { similarityHistogram, verify, writeEvaluation } from '../../dist/evaluate/index.js';
import { writeReport } from '../../dist/report/index.js';
import { RunFolder } from '../../dist/train/runFolder.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-compare-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A run that has trained 3 lines of the log, its loss falling to `loss`. */
function makeRun(changes: object, loss: number, output = 'runs'): RunFolder {
  const raw = { name: 'one', output: join(folder, output), data: { root: 'faces' }, ...changes };
  const run = RunFolder.create(checkConfig(raw, 'test'));
  const line = { kind: 'train', targetCosine: 0.5, learningRate: 0.1, headLearningRate: 0.1, gradientNorm: 1 };
  const lines = [1, 2, 3].map((i) => ({
    ...line,
    step: 10 * i,
    epoch: i / 2,
    loss: loss + 3 - i,
    imagesPerSecond: [500, 90, 110][i - 1],
  }));
  writeFileSync(run.metricsPath, lines.map((one) => `${JSON.stringify(one)}\n`).join(''));
  return run;
}

/** @param gap how far same pairs lie above different ones, in cosine. */
function evaluated(run: RunFolder, gap: number, data = 'people', step?: number): RunFolder {
  const same = Array.from({ length: 40 }, (_, i) => i % 2 === 0);
  const model = (name: string, by: number) => {
    const similarities = same.map((isSame, i) => (isSame ? by : 0) + 0.3 * Math.sin(i * 12.9898));
    const { roc, ...figures } = verify(similarities, same);
    return {
      name,
      ...figures,
      roc: { far: roc.far, tar: roc.tar },
      histogram: similarityHistogram(similarities, same, 9),
    };
  };
  writeEvaluation(join(run.path, 'evaluation.json'), {
    format: 'hyperarc-evaluation-1',
    createdAt: '2030-01-01T00:00:00.000Z',
    data,
    ...(step !== undefined && { step }),
    root: '.',
    images: 20,
    imageSize: 16,
    flip: true,
    models: [model('untrained', 0), model('trained', gap)],
    worst: { falseRejects: [], falseAccepts: [] },
  });
  return run;
}

const valuesOf = (rows: readonly { name: string; values: readonly unknown[] }[], name: string) =>
  rows.find((row) => row.name === name)?.values;

it('shows the keys that differ, and no others', () => {
  const a = makeRun({ head: { margin: 0.3 } }, 4);
  const b = makeRun({ head: { loss: 'cosface' }, training: { earlyStop: { patience: 3, on: 'loss' } } }, 5);
  const { settings } = compareRuns([a.path, b.path]);
  expect(settings).toEqual([
    { name: 'head.loss', values: ['"arcface"', '"cosface"'] },
    { name: 'head.margin', values: ['0.3', undefined] },
    { name: 'training.earlyStop.patience', values: [undefined, '3'] },
    { name: 'training.earlyStop.minDelta', values: [undefined, '0'] },
    { name: 'training.earlyStop.on', values: [undefined, '"loss"'] },
  ]);
  expect(formatComparison(compareRuns([a.path, makeRun({ head: { margin: 0.3 } }, 4).path]))).toContain(
    'the same configuration',
  );
});

it('says which run has gone on since it was evaluated', async () => {
  const old = evaluated(makeRun({}, 4), 0.25, 'people', 20);
  const ended = evaluated(makeRun({}, 5), 0.5, 'people', 30);
  const says = 'evaluated at step 20, the run has gone on to step 30 since: hyperarc evaluate makes it anew';
  expect(compareRuns([old.path, ended.path]).notes).toEqual([`one-001 was ${says}`]);
  // A later checkpoint tells it too, where no line of the log came after.
  mkdirSync(join(ended.checkpointsPath, 'step-00000031'), { recursive: true });
  expect(compareRuns([old.path, ended.path]).notes[1]).toMatch(/^one-002 was evaluated at step 30, .* to step 31/);
  rmSync(ended.checkpointsPath, { recursive: true });
  const reports = await Promise.all([old, ended].map(({ path }) => writeReport({ runFolder: path })));
  expect(reports.map((report) => readFileSync(report, 'utf8').includes(says))).toEqual([true, false]);
});

it("lays figures of the metrics and of each evaluation's own model side by side", () => {
  const a = evaluated(makeRun({}, 4), 0.25);
  const b = evaluated(makeRun({}, 5), 0.5);
  const skipped = { kind: 'skip', step: 12, epoch: 0.6, skipped: 2, reason: 'NaN' };
  const verified = [0.7, 0.9, 0.8].map((accuracy, i) => ({ kind: 'evaluate', step: i, accuracy, accuracyStd: 0 }));
  for (const record of [skipped, ...verified])
    writeFileSync(b.metricsPath, `${JSON.stringify(record)}\n`, { flag: 'a' });
  const { figures, notes } = compareRuns([a.path, b.path]);
  expect(notes).toEqual([]);
  expect(valuesOf(figures, 'last loss')).toEqual([4, 5]);
  expect(valuesOf(figures, 'steps')).toEqual([30, 30]);
  expect(valuesOf(figures, 'img/s (median)')).toEqual([110, 110]);
  expect(valuesOf(figures, 'skipped steps')).toEqual([undefined, 2]);
  expect(valuesOf(figures, 'best accuracy in training')).toEqual([undefined, 0.9]);
  const models = [a, b].map((run) => JSON.parse(readFileSync(join(run.path, 'evaluation.json'), 'utf8')).models[1]);
  expect(valuesOf(figures, 'AUC')).toEqual(models.map(({ auc }) => auc));
  expect(valuesOf(figures, 'accuracy')).toEqual(models.map(({ accuracy }) => accuracy.mean));
  expect(valuesOf(figures, 'TAR@1e-1')).toEqual(models.map(({ tarAtFar }) => tarAtFar[0].tar));
});

it('says what keeps figures from being compared', () => {
  const a = evaluated(makeRun({}, 4), 0.25, 'people');
  const b = evaluated(makeRun({}, 4), 0.25, 'others');
  const c = makeRun({}, 4);
  expect(compareRuns([a.path, b.path, c.path]).notes).toEqual([
    'one-003 has no evaluation.json: hyperarc evaluate makes it',
    'the runs were verified on different pairs: people, 20 images; others, 20 images',
  ]);
});

it('prints a table with the better figures marked, and writes a page that needs no other', async () => {
  const a = evaluated(makeRun({}, 4), 0.25);
  const b = evaluated(makeRun({ seed: 7 }, 5), 0.5);
  const output = join(folder, 'page.html');
  const printed: string[] = [];
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => printed.push(String(text)) > 0);
  try {
    expect(await main(['compare', a.path, b.path, '--output', output])).toBe(0);
  } finally {
    spy.mockRestore();
  }
  const text = printed.join('');
  expect(text).toMatch(/^ +one-001 +one-002\nseed +1 +7\n\nsteps +30 +30\n/);
  expect(text).toMatch(/^AUC +0\.\d{4} +\* [01]\.\d{4}$/m);
  expect(text).toMatch(/^EER +[\d.]+% +\* [\d.]+%$/m);
  expect(text).toMatch(/page\.html written\n$/);

  const page = readFileSync(output, 'utf8');
  expect(page.match(/<svg/g)).toHaveLength(2);
  expect(page).not.toMatch(/<script|<link|<img|(?:src|href)="(?!#)/);
  expect(page).toMatch(/<td>seed<\/td>\s*<td>1<\/td>\s*<td>7<\/td>/);
  expect(page).toMatch(/<strong>[01]\.\d{4}<\/strong>/);
  // Each run's losses in its colour, as its name has it.
  for (const color of ['--orange', '--blue']) expect(page.split(`var(${color})`).length).toBeGreaterThan(3);
});

it('escapes names, and draws what there is', () => {
  const a = makeRun({ backbone: { name: 'iresnet18' } }, 4);
  const { runs, ...rest } = compareRuns([a.path, makeRun({}, 4).path]);
  const hostile = [
    { ...runs[0]!, name: '<b>"x"' },
    { ...runs[1]!, metrics: [] },
  ];
  const page = renderComparison({ ...rest, runs: hostile }, '2030-01-01T00:00:00.000Z');
  expect(page).toContain('&lt;b&gt;&quot;x&quot;');
  expect(page).not.toContain('<b>"x"');
  expect(page.match(/<svg/g)).toHaveLength(1);
});

it('tells runs of one name apart by their folders, and refuses what it cannot compare', () => {
  const a = makeRun({}, 4, 'here');
  const b = makeRun({}, 5, 'there');
  expect(compareRuns([a.path, b.path]).runs.map(({ name }) => name)).toEqual(['here/one-001', 'there/one-001']);
  expect(() => compareRuns([a.path])).toThrow('E_RANGE: runs: expected 2 to 5 run folders, received 1');
  expect(() => compareRuns(Array(6).fill(a.path))).toThrow('received 6');
  expect(() => compareRuns([a.path, `${a.path}/`])).toThrow(/E_RANGE: run: expected different run folders/);
  expect(() => compareRuns([a.path, folder])).toThrow(/E_FORMAT: run: expected a run folder with a config\.yaml/);
});
