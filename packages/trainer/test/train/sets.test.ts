import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readManifest } from '../../dist/checkpoint/manifest.js';
import { checkConfig, resumeDifferences } from '../../dist/config/index.js';
import { makePairs, scanImageFolder } from '../../dist/data/index.js';
import { evaluateRun, formatEvaluation, readEvaluation, writeVerificationBin } from '../../dist/evaluate/index.js';
import { readMetrics, type EvaluateRecord } from '../../dist/metrics/jsonLines.js';
import { writeReport } from '../../dist/report/index.js';
import { writeSynthDataset } from '../../dist/synth/writeDataset.js';
import { RunFolder } from '../../dist/train/runFolder.js';
import { train } from '../../dist/train/train.js';

let folder: string;
const file = (name: string) => join(folder, name);

const configure = (sets: readonly string[], every = 1) =>
  checkConfig(
    {
      name: 'sets',
      seed: 5,
      output: file('runs'),
      data: { root: file('faces'), imageSize: 16 },
      backbone: { name: 'iresnet10-w16', embeddingSize: 8 },
      head: { scale: 16, margin: 0.2 },
      training: { steps: 2, batchSize: 8 },
      evaluate: { every, sets: sets.map(file) },
    },
    'test',
  );

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-sets-'));
  const root = file('faces');
  await writeSynthDataset({ out: root, identities: 8, samples: 4, seed: 1, size: 16 });
  const pairs = (seed: number) => makePairs(scanImageFolder(root), { pairs: 20, seed });
  await writeVerificationBin(file('lfw.bin'), root, pairs(1), { size: 16 });
  await writeVerificationBin(file('agedb_30.bin'), root, pairs(2), { size: 16 });
  writeFileSync(file('cut.bin'), readFileSync(file('lfw.bin')).subarray(0, 5000));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('verifies sets on the way: logged by name, the checkpoint scored by their mean, and as hyperarc evaluate finds', async () => {
  const config = configure(['lfw.bin', 'agedb_30.bin']);
  const run = RunFolder.create(config);
  const stream = new PassThrough();
  const { checkpoint } = await train({ run, config, stream });
  const records = readMetrics(run.metricsPath).filter((record): record is EvaluateRecord => record.kind === 'evaluate');
  expect(records.map(({ step, set }) => [step, set])).toEqual([
    [1, 'lfw'],
    [1, 'agedb_30'],
    [2, 'lfw'],
    [2, 'agedb_30'],
  ]);
  const [lfw, agedb] = records.slice(2) as [EvaluateRecord, EvaluateRecord];
  const percent = (value: number) => (100 * value).toFixed(2);
  const mean = (lfw.accuracy + agedb.accuracy) / 2;
  const output = String(stream.read());
  expect(output).toMatch(/^set lfw: 20 pairs of \d+ images\nset agedb_30: 20 pairs/);
  expect(output).toContain(
    `step 2: lfw ${percent(lfw.accuracy)} ± ${percent(lfw.accuracyStd)}%  ` +
      `agedb_30 ${percent(agedb.accuracy)} ± ${percent(agedb.accuracyStd)}%  mean of 2 sets ${percent(mean)}%\n`,
  );
  expect(readManifest(checkpoint).score).toBeCloseTo(mean, 12);
  const events = readdirSync(run.eventsPath).map((name) => readFileSync(join(run.eventsPath, name), 'latin1'));
  for (const tag of ['lfw/accuracy', 'lfw/val', 'lfw/xnorm', 'agedb_30/accuracy']) {
    expect(events.join('')).toContain(`evaluate/${tag}`);
  }

  const evaluation = await evaluateRun(run);
  expect(readEvaluation(join(run.path, 'evaluation.json'))).toEqual(evaluation);
  const models = [evaluation, ...evaluation.furtherSets!].map(({ name, models: [model] }) => ({ name, model: model! }));
  expect(models.map(({ name }) => name)).toEqual(['lfw', 'agedb_30']);
  models.forEach(({ model }, i) => {
    const record = [lfw, agedb][i]!;
    expect(model.accuracy.mean).toBeCloseTo(record.accuracy, 12);
    expect(model.val.mean).toBeCloseTo(record.val!, 12);
    expect(model.xNorm! / record.xNorm!).toBeCloseTo(1, 5);
  });
  expect(formatEvaluation(evaluation)).toMatch(new RegExp(`^mean +${percent(mean)}$`, 'm'));

  const report = readFileSync(await writeReport({ runFolder: run.path }), 'utf8');
  for (const text of ['<td>lfw</td>', '<td>agedb_30</td>', 'lfw (AUC', 'agedb_30 (AUC', 'on lfw', 'on agedb_30']) {
    expect(report).toContain(text);
  }
  expect(report.match(/src="data:image\/jpeg;base64,/g)).toHaveLength(64);
  expect(report).not.toContain('no picture');
});

it.each([
  ['one cut short', ['lfw.bin', 'cut.bin'], /E_FORMAT: .*cut\.bin: .*cut short/],
  ['one that is absent', ['none.bin'], /E_FORMAT: .*none\.bin: .*ENOENT/],
])('refuses a set before it trains: %s', async (_, sets, message) => {
  for (const every of [0, 1]) {
    const config = configure(sets, every);
    const run = RunFolder.create(config);
    await expect(train({ run, config, stream: new PassThrough().resume() })).rejects.toThrow(message);
    expect(readdirSync(run.path)).toEqual(['config.yaml']);
  }
});

it('takes other sets when a run goes on', () => {
  expect(resumeDifferences(configure(['lfw.bin']), configure([]))).toEqual([]);
  expect(() => checkConfig({ name: 'x', data: { root: 'x' }, evaluate: { sets: 'lfw.bin' } }, 'c.yaml')).toThrow(
    /c\.yaml: evaluate\.sets: expected a list of paths of \.bin files, received "lfw\.bin"/,
  );
});
