import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { initBackend } from '../../dist/backend/index.js';
import { createBackbone } from '../../dist/backbones/index.js';
import { readModelWeights } from '../../dist/checkpoint/modelWeights.js';
import { saveModelFolder } from '../../dist/checkpoint/modelFolder.js';
import { writeSafetensors } from '../../dist/checkpoint/safetensors.js';
import { CheckpointStore } from '../../dist/checkpoint/store.js';
import { createProgram } from '../../dist/cli/main.js';
import { loadConfig } from '../../dist/config/index.js';
import { evaluateCheckpoint, evaluateModelFolder, evaluateRun, readEvaluation } from '../../dist/evaluate/index.js';
import { RunFolder } from '../../dist/train/runFolder.js';

const IMAGE_SIZE = 32;
let folder: string;
let run: RunFolder;

function makeRun(overrides: readonly string[]): RunFolder {
  const file = join(folder, 'config.yaml');
  const config = { name: 'tiny', output: join(folder, 'runs'), data: { root: join(folder, 'people') } };
  writeFileSync(file, JSON.stringify(config));
  const fixed = [
    `data.imageSize=${IMAGE_SIZE}`,
    'backbone.name=mobilefacenet',
    'backbone.embeddingSize=16',
    'backend=wasm',
    'evaluate.pairs=24',
    'evaluate.folds=2',
  ];
  return RunFolder.create(loadConfig(file, [...fixed, ...overrides]));
}

/** @param identities names of those that it was trained on; absent: as from before they were saved. */
function makeCheckpoint(of: RunFolder, identities?: readonly string[]): Promise<string> {
  const model = createBackbone({ name: 'mobilefacenet', embeddingSize: 16, inputSize: IMAGE_SIZE, seed: 9 });
  return new CheckpointStore(of.checkpointsPath).save(3, null, async (partial) => {
    writeSafetensors(join(partial, 'backbone.safetensors'), readModelWeights(model));
    copyFileSync(of.configPath, join(partial, 'config.yaml'));
    if (identities !== undefined) writeFileSync(join(partial, 'identities.json'), JSON.stringify(identities));
  });
}

/** Runs a command of a fresh program and returns what it printed. */
async function command(...args: string[]): Promise<string> {
  const write = process.stdout.write;
  let printed = '';
  process.stdout.write = ((text: string) => ((printed += text), true)) as typeof process.stdout.write;
  try {
    await createProgram().parseAsync(args, { from: 'user' });
  } finally {
    process.stdout.write = write;
  }
  return printed;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-evaluate-run-'));
  for (let person = 0; person < 8; person++) {
    mkdirSync(join(folder, 'people', `p${person}`), { recursive: true });
    for (let sample = 0; sample < 4; sample++) {
      const background = { r: 30 * person, g: 200 - 20 * person, b: 60 + 5 * sample };
      const image = sharp({ create: { width: IMAGE_SIZE, height: IMAGE_SIZE, channels: 3, background } });
      await image.png().toFile(join(folder, 'people', `p${person}`, `${sample}.png`));
    }
  }
  await initBackend('wasm');
  run = makeRun(['data.heldOut=5']);
  const trained = createBackbone({ name: 'mobilefacenet', embeddingSize: 16, inputSize: IMAGE_SIZE, seed: 9 });
  await saveModelFolder(trained, run.modelPath);
});
afterAll(() => rmSync(folder, { recursive: true }));

it('evaluates a run on its held-out identities, beside raw pixels and the untrained backbone', async () => {
  const evaluation = await evaluateRun(run);
  expect(evaluation.models.map((model) => model.name)).toEqual(['raw pixels', 'untrained', 'trained']);
  expect(evaluation.data).toMatch(/5 held-out identities$/);
  expect(evaluation.models[0]).toMatchObject({ pairs: 24, samePairs: 12, differentPairs: 12 });
  const held = new Set(
    [...evaluation.worst.falseAccepts].flatMap((pair) => [pair.a.split('/')[0], pair.b.split('/')[0]]),
  );
  expect(held.size).toBeLessThanOrEqual(5);
  expect(evaluation.environment!['TensorFlow.js']).toMatch(/backend wasm/);
  // Other weights, other figures: the trained model is not the untrained one.
  expect(evaluation.models[2]!.histogram).not.toEqual(evaluation.models[1]!.histogram);
  expect(readEvaluation(join(run.path, 'evaluation.json'))).toEqual(evaluation);
});

it('hyperarc evaluate prints the table, hyperarc report shows the pictures of the worst pairs', async () => {
  const printed = await command('evaluate', run.path, '--count', '40', '--batch-size', '8');
  expect(printed).toMatch(/20 same and 20 different pairs/);
  expect(printed).toMatch(/^trained +\d/m);
  expect(await command('report', run.path)).toBe(`${join(run.path, 'report.html')} written\n`);
  const report = readFileSync(join(run.path, 'report.html'), 'utf8');
  expect(report.match(/src="data:image\/jpeg;base64,/g)).toHaveLength(32);
  expect(report).not.toContain('no picture');
});

it('evaluates a model folder on any image folder, and a list of pairs', async () => {
  const root = join(folder, 'people');
  const drawn = await evaluateModelFolder(run.modelPath, { root, pairs: 24, folds: 2 }, { backend: 'wasm' });
  expect(drawn.data).toMatch(/all 8 identities/);
  const pairsFile = join(folder, 'pairs.txt');
  const lines = [0, 1].flatMap((fold) => [
    `p${fold}/0.png\tp${fold}/1.png\t1\t${fold}`,
    `p${fold}/0.png\tp${fold + 2}/1.png\t0\t${fold}`,
  ]);
  writeFileSync(pairsFile, `${lines.join('\n')}\n`);
  const listed = await evaluateModelFolder(run.modelPath, { root, pairsFile }, { backend: 'wasm' });
  expect(listed.models[0]).toMatchObject({ pairs: 4, samePairs: 2 });
});

it('hyperarc data bin writes a set, hyperarc evaluate --set verifies it', async () => {
  const root = join(folder, 'people');
  const list = join(folder, 'list.txt');
  const lines = Array.from(
    { length: 20 },
    (_, i) => `p${i >> 2}/${i % 4}.png p${(i >> 2) + (i % 2)}/${(i + 1) % 4}.png ${1 - (i % 2)}`,
  );
  writeFileSync(list, `${lines.join('\n')}\n`);
  const images = new Set(lines.flatMap((line) => line.split(' ').slice(0, 2))).size;
  const [first, second] = [join(folder, 'first.bin'), join(folder, 'second.bin')];
  const logged = vi.spyOn(console, 'log').mockImplementation(() => {});
  await command('data', 'bin', root, '--pairs', list, '--output', first, '--size', '32');
  await command('data', 'bin', root, '--pairs', list, '--output', second, '--size', '16');
  expect(logged.mock.calls.flat()).toEqual([
    `${first}: 10 same and 10 different pairs of ${images} images`,
    `${second}: 10 same and 10 different pairs of ${images} images, ${images} of them resized to 16 × 16`,
  ]);
  logged.mockRestore();
  const written = join(folder, 'sets.json');
  const flags = ['--set', first, '--set', second, '--folds', '5', '--backend', 'wasm', '--output', written];
  expect(await command('evaluate', run.modelPath, ...flags)).toMatch(
    /^verification sets, 5 folds, model model\nset .*\nfirst +20 +\d+ .*\nsecond +20 +\d+ .*\nmean +\d+\.\d\d\nn\/a: TAR@1e-2/,
  );
  const evaluation = readEvaluation(written);
  expect([evaluation.name, evaluation.furtherSets?.map(({ name }) => name)]).toEqual(['first', ['second']]);
  await expect(command('evaluate', run.modelPath, '--set', list)).rejects.toThrow(
    /E_FORMAT: .*list\.txt: expected a verification set \(a pickle\), received other contents; a list of pairs is for --pairs/,
  );
});

it('evaluates, exports and measures a checkpoint, and writes nothing beside it', async () => {
  const going = makeRun(['data.heldOut=5']);
  const checkpoint = await makeCheckpoint(going);
  // The same weights as the run's model, on the same held-out people.
  const { data, models, step } = await evaluateCheckpoint(checkpoint);
  expect(step).toBe(3);
  const ofRun = await evaluateRun(run);
  expect(data).toBe(ofRun.data);
  expect(models.map(({ name, accuracy }) => [name, accuracy])).toEqual(
    ofRun.models.map(({ name, accuracy }) => [name, accuracy]),
  );
  expect(await command('evaluate', checkpoint, '--count', '40')).toMatch(/^trained +\d/m);
  const robustness = await command('robustness', checkpoint, '--only', 'jpeg', '--count', '40', '--folds', '2');
  expect(robustness).toMatch(/^jpeg +\d/m);
  const out = join(folder, 'checkpoint.safetensors');
  expect(await command('export', checkpoint, out)).toMatch(/largest difference 0 of/);
  expect(['evaluation.json', 'robustness.json'].some((name) => existsSync(join(checkpoint, name)))).toBe(false);
  for (const args of [
    ['evaluate', going.path],
    ['export', going.path, `${out}.safetensors`],
  ])
    await expect(command(...args)).rejects.toThrow(
      `received one that has not ended; go on with hyperarc train --resume ${going.path}, or give its newest checkpoint, ${checkpoint}`,
    );
  for (const args of [
    ['train', '--resume', checkpoint],
    ['report', checkpoint],
  ])
    await expect(command(...args)).rejects.toThrow(
      `E_FORMAT: run: expected a run folder, received its checkpoint step-00000003; give ${going.path}`,
    );
});

it('says how many of the people were trained on', async () => {
  const trainedOn = await makeCheckpoint(makeRun(['data.heldOut=5']), ['p1', 'p2', 'p3']);
  const source = { root: join(folder, 'people') };
  expect((await evaluateCheckpoint(trainedOn, source)).data).toBe(
    `${source.root}, all 8 identities, 3 of them trained on`,
  );
  // Also where the folder has changed since, and other people are held out than then.
  const ended = makeRun(['data.heldOut=5']);
  const everybody = [0, 1, 2, 3, 4, 5, 6, 7].map((n) => `p${n}`);
  const all = await makeCheckpoint(ended, everybody);
  cpSync(run.modelPath, ended.modelPath, { recursive: true });
  const ofRun = await evaluateRun(ended);
  expect(ofRun.data).toMatch(/people, 5 held-out identities, 5 of them trained on$/);
  expect(ofRun.step).toBe(3);
  const out = join(folder, 'trained-on.json');
  await command('robustness', all, '--only', 'jpeg', '--count', '40', '--folds', '2', '--output', out);
  expect(readFileSync(out, 'utf8')).toContain('5 held-out identities, 5 of them trained on');
  // The same names in another folder may be others.
  cpSync(source.root, join(folder, 'others'), { recursive: true });
  const { data } = await evaluateCheckpoint(all, { root: join(folder, 'others') });
  expect(data).toMatch(/others, all 8 identities$/);
});

it('says what is missing', async () => {
  await expect(evaluateRun(makeRun(['data.heldOut=0']))).rejects.toThrow(/E_RANGE: data: .*give --data/);
  await expect(evaluateRun(makeRun(['data.heldOut=5']))).rejects.toThrow(/E_FORMAT/);
  await expect(command('evaluate', run.modelPath)).rejects.toThrow(/E_RANGE: --data/);
  await expect(command('evaluate', join(folder, 'nowhere'))).rejects.toThrow(/E_FORMAT: run/);
});
