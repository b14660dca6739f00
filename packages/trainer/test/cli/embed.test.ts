import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { saveModelFolder } from '../../dist/checkpoint/modelFolder.js';
import { readSafetensors } from '../../dist/checkpoint/safetensors.js';
import { main } from '../../dist/cli/main.js';
import { loadConfig } from '../../dist/config/index.js';
import { convertDataset, loadImages, openDataset, readGroups } from '../../dist/data/index.js';
import { embedImages } from '../../dist/evaluate/embed.js';
import { readNpy } from '../../dist/evaluate/files/npy.js';
import { openModel } from '../../dist/evaluate/openModel.js';
import { exportModel } from '../../dist/export/index.js';
import { readOnnx } from '../../dist/export/onnx/read.js';
import { runOnnx } from '../../dist/export/onnx/run.js';
import { writeSynthDataset } from '../../dist/synth/writeDataset.js';
import { RunFolder } from '../../dist/train/runFolder.js';
import { trained } from '../export/models.js';
import { useBackend } from '../layers/backends.js';

const SIZE = 32;
const DIM = 16;
/** No multiple of it is the number of images: the last batch is a part of one. */
const BATCH = ['--batch-size', '5', '--backend', 'wasm'];
let folder: string;
const at = (...names: string[]): string => join(folder, ...names);
let model: string;
let faces: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-embed-'));
  [model, faces] = [at('model'), at('faces')];
  await useBackend('wasm');
  const backbone = trained({ name: 'iresnet10-w16', embeddingSize: DIM, inputSize: SIZE, seed: 3 });
  await saveModelFolder(backbone, model);
  backbone.dispose();
  await writeSynthDataset({ out: faces, identities: 4, samples: 3, seed: 1, size: SIZE });
  mkdirSync(at('out'));
});
afterEach(() => {
  for (const name of readdirSync(at('out'))) rmSync(at('out', name), { recursive: true });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Exit code and what was printed. @param onError told of every text on stderr */
async function embed(args: string[], onError: (text: string) => void = () => undefined) {
  let [output, errors] = ['', ''];
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((output += String(text)), true)),
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      errors += String(text);
      onError(String(text));
      return true;
    }),
  ];
  try {
    return { code: await main(['embed', ...args]), output, errors };
  } finally {
    for (const spy of spies) spy.mockRestore();
    process.exitCode = undefined;
  }
}

const listed = (path: string): string[] => readFileSync(path, 'utf8').trimEnd().split('\n');
const row = (values: Float32Array, n: number): number[] => [...values.subarray(n * DIM, (n + 1) * DIM)];

/** Names of the images of `faces`, in its order. */
const imagePaths = (): string[] =>
  readdirSync(faces, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => readdirSync(join(faces, name)).map((image) => `${name}/${image}`))
    .sort();

/** The exported model's answer to each image and to the mirrored one, by our reading of the ONNX file. */
async function oracle(paths: readonly string[]): Promise<{ plain: Float32Array; mirrored: Float32Array }> {
  const onnx = at('oracle.onnx');
  if (!existsSync(onnx)) {
    await exportModel({ source: model, out: onnx, format: 'onnx', check: false, backend: 'wasm', log: () => {} });
  }
  const read = readOnnx(readFileSync(onnx));
  const pixels = await loadImages(paths, SIZE, { root: faces });
  const answers = tf.tidy(() => {
    const images = tf.tensor4d(pixels, [paths.length, SIZE, SIZE, 3]);
    return [images, tf.reverse(images, 2)].map((side) => runOnnx(read, tf.transpose(side, [0, 3, 1, 2])));
  });
  const [plain, mirrored] = (await Promise.all(answers.map((answer) => answer.data()))) as Float32Array[];
  tf.dispose(answers);
  return { plain: plain!, mirrored: mirrored! };
}

/** Scaled to length 1 in float64. */
function unit(values: readonly number[]): number[] {
  const length = Math.hypot(...values);
  return values.map((value) => value / length);
}

/** Row by row, relative to the row's length. */
function expectRows(actual: Float32Array, expected: readonly (readonly number[])[]): void {
  expect(actual).toHaveLength(expected.length * DIM);
  expected.forEach((wanted, n) => {
    const distance = Math.hypot(...row(actual, n).map((value, d) => value - wanted[d]!));
    expect(distance / Math.hypot(...wanted), `row ${n}`).toBeLessThan(1e-5);
  });
}

it('writes what evaluation embeds and what the exported model answers, in the order of the dataset', async () => {
  const out = at('out', 'faces.safetensors');
  const { code, output, errors } = await embed([model, faces, out, ...BATCH]);
  expect({ code, errors }).toMatchObject({ code: 0, errors: expect.stringContaining('embedded 12 of 12\n') as string });
  expect(output).toMatch(
    /faces\.safetensors: 12 images of 4 identities, 16 numbers each, unit length, in \d+\.\d s \(\d+ images\/s\)\n/,
  );
  expect(output).toContain(`${at('out', 'faces.csv')}: path and identity of each row\n`);
  expect(readdirSync(at('out')).sort()).toEqual(['faces.csv', 'faces.safetensors']);

  const dataset = await openDataset(faces);
  const paths = Array.from(dataset.labels, (_, i) => dataset.nameOf(i));
  const names = paths.map((path) => `${path},${path.split('/')[0]}`);
  expect(listed(at('out', 'faces.csv'))).toEqual(['path,identity', ...names]);
  const tensors = readSafetensors(out);
  expect([...tensors.keys()]).toEqual(['embeddings', 'labels']);
  expect(tensors.get('labels')).toEqual({ shape: [12], values: dataset.labels });
  const { shape, values } = tensors.get('embeddings')!;
  expect(shape).toEqual([12, DIM]);

  const open = await openModel(model, 'wasm', () => undefined);
  const load = (batch: readonly string[], size: number) => loadImages(batch, size, { root: faces });
  const evaluated = await embedImages(open.model, paths, { imageSize: SIZE, load, batchSize: 5 });
  open.model.dispose();
  expect(values).toEqual(evaluated.valuesND);
  const { plain, mirrored } = await oracle(paths);
  expectRows(
    values as Float32Array,
    paths.map((_, n) => unit(row(plain, n).map((value, d) => value + row(mirrored, n)[d]!))),
  );
  expect(readGroups('--groups', at('out', 'faces.csv')).groupOf(paths[5]!)).toBe('id_00001');
});

it('writes .npy, without mirroring and without scaling', async () => {
  const { plain, mirrored } = await oracle(imagePaths());
  const rows = (flip: boolean) =>
    Array.from({ length: 12 }, (_, n) => row(plain, n).map((value, d) => value + (flip ? row(mirrored, n)[d]! : 0)));
  // Otherwise the flags would make no difference to be seen.
  expect(
    Math.max(...unit(rows(true)[0]!).map((value, d) => Math.abs(value - unit(rows(false)[0]!)[d]!))),
  ).toBeGreaterThan(1e-2);
  expect(Math.abs(Math.hypot(...rows(false)[0]!) - 1)).toBeGreaterThan(1e-2);
  for (const [flags, expected, said] of [
    [[], rows(true).map(unit), 'unit length'],
    [['--no-flip'], rows(false).map(unit), 'unit length'],
    [['--no-normalise'], rows(true), 'not scaled'],
    [['--no-flip', '--no-normalise'], rows(false), 'not scaled'],
  ] as const) {
    const out = at('out', `${flags.join('') || 'plain'}.npy`);
    const { code, output } = await embed([model, faces, out, ...BATCH, ...flags]);
    expect({ code, output }).toMatchObject({ code: 0, output: expect.stringContaining(said) as string });
    const { shape, values } = readNpy(out);
    expect(shape).toEqual([12, DIM]);
    expectRows(values, expected);
  }
});

it('takes a run, and every form of dataset', async () => {
  const config = at('config.yaml');
  const settings = { name: 'tiny', output: at('runs'), backend: 'wasm', data: { root: faces, imageSize: SIZE } };
  writeFileSync(config, JSON.stringify(settings));
  const run = RunFolder.create(loadConfig(config, ['backbone.name=iresnet10-w16', `backbone.embeddingSize=${DIM}`]));
  const unfinished = await embed([run.path, faces, at('out', 'none.npy')]);
  expect(unfinished).toMatchObject({ code: 1, output: '' });
  expect(unfinished.errors).toContain('received one that has not ended');
  const backbone = trained({ name: 'iresnet10-w16', embeddingSize: DIM, inputSize: SIZE, seed: 3 });
  await saveModelFolder(backbone, run.modelPath);
  backbone.dispose();
  expect(await embed([run.path, faces, at('out', 'folder.npy'), ...BATCH])).toMatchObject({ code: 0 });
  const { values } = readNpy(at('out', 'folder.npy'));
  for (const form of ['rec', 'tar']) {
    await convertDataset(faces, at(form, `faces.${form}`));
    const out = at('out', `${form}.npy`);
    expect(await embed([run.path, at(form), out, ...BATCH])).toMatchObject({ code: 0 });
    expect(readNpy(out).values).toEqual(values);
    expect(listed(at('out', `${form}.csv`))).toHaveLength(13);
  }
});

it('takes plain images, flat and nested, and names nobody', async () => {
  const [first, second] = imagePaths();
  const plain = at('plain, "as they are"');
  mkdirSync(join(plain, 'a/deeper'), { recursive: true });
  copyFileSync(join(faces, first!), join(plain, 'top, left.png'));
  copyFileSync(join(faces, second!), join(plain, 'a/deeper/"x".png'));
  writeFileSync(join(plain, 'notes.txt'), '');
  const out = at('out', 'plain.safetensors');
  const { code, output, errors } = await embed([model, plain, out, ...BATCH]);
  expect({ code, output }).toMatchObject({
    code: 0,
    output: expect.stringContaining('2 images without identities') as string,
  });
  expect(errors).toContain('its images are taken at any depth, without identities\n');
  expect(errors).toContain('1 entries are no JPEG, PNG or WebP and are left out: notes.txt');
  expect([...readSafetensors(out).keys()]).toEqual(['embeddings']);
  expect(listed(at('out', 'plain.csv'))).toEqual(['path', '"a/deeper/""x"".png"', '"top, left.png"']);
  const { values } = readSafetensors(out).get('embeddings')!;

  // A folder of one identity beside them: it is the dataset, unless everything is asked for.
  mkdirSync(join(plain, 'someone'));
  copyFileSync(join(faces, first!), join(plain, 'someone/1.png'));
  const one = await embed([model, plain, at('out', 'one.npy'), ...BATCH]);
  expect(one.output).toContain('1 images of 1 identities');
  expect(one.errors).toContain('are left out: 1 in a folder within an identity’s, 1 outside every identity’s folder');
  const all = await embed([model, plain, at('out', 'all.npy'), ...BATCH, '--no-identities']);
  expect(all.output).toContain('3 images without identities');
  expect(listed(at('out', 'all.csv')).slice(1)).toEqual(['"a/deeper/""x"".png"', 'someone/1.png', '"top, left.png"']);
  expectRows(
    readNpy(at('out', 'all.npy')).values,
    [0, 1, 1].map((n) => row(values as Float32Array, n)),
  );
  const records = await embed([model, at('rec/faces.rec'), at('out', 'r.npy'), ...BATCH, '--no-identities']);
  expect(records.output).toContain('12 images without identities');
  expect(listed(at('out', 'r.csv'))[0]).toBe('path');
});

it('says what is wrong, and writes nothing then', async () => {
  const damaged = at('damaged');
  mkdirSync(join(damaged, 'id'), { recursive: true });
  copyFileSync(join(faces, imagePaths()[0]!), join(damaged, 'id/1.png'));
  writeFileSync(join(damaged, 'id/2.png'), 'no image');
  mkdirSync(at('empty'));
  const out = at('out', 'e.npy');
  for (const [args, message] of [
    [[model, faces, at('out', 'e.pkl')], 'E_RANGE: out: expected a name that ends in .npy or .safetensors, received'],
    [[model, faces, at('out', 'npy')], 'expected a name that ends in .npy or .safetensors'],
    [
      [model, faces, join(model, 'model.json/e.npy')],
      `E_RANGE: out: expected a place that can be written to, received ${join(model, 'model.json/e.npy')} (ENOTDIR in ${join(model, 'model.json')})`,
    ],
    [
      [model, at('empty'), out],
      'E_FORMAT: ' + at('empty') + ': expected images (jpg, jpeg, png or webp), received an empty folder',
    ],
    [[model, at('absent'), out], 'E_FORMAT: dataset: expected a folder or file at'],
    [[model, damaged, out, '--backend', 'wasm'], `E_FORMAT: ${join(damaged, 'id/2.png')}: expected`],
    [[at('empty'), faces, out], 'E_FORMAT: run: expected a run folder'],
  ] as const) {
    const { code, output, errors } = await embed([...args]);
    expect({ code, output, errors }).toEqual({
      code: 1,
      output: '',
      errors: expect.stringContaining(message) as string,
    });
    expect(readdirSync(at('out'))).toEqual([]);
  }
  for (const name of ['taken.npy', 'taken.csv', 'taken.left-out.csv']) {
    writeFileSync(at('out', name), 'kept');
    const { code, errors } = await embed([model, faces, at('out', 'taken.npy'), ...BATCH]);
    expect({ code, errors }).toEqual({
      code: 1,
      errors: `hyperarc: E_RANGE: out: expected a file that is not there yet, received ${at('out', name)}; name another or remove it\n`,
    });
    expect(readFileSync(at('out', name), 'utf8')).toBe('kept');
    expect(readdirSync(at('out'))).toEqual([name]);
    rmSync(at('out', name));
  }
  expect(await embed([model, faces, out, '--batch-size', '0'])).toMatchObject({ code: 2 });
});

it('leaves out images that cannot be decoded when told to, and names them', async () => {
  const whole = at('out', 'whole.safetensors');
  expect(await embed([model, faces, whole, ...BATCH])).toMatchObject({ code: 0 });
  const paths = imagePaths();
  const damaged = at('some-damaged');
  cpSync(faces, damaged, { recursive: true });
  // A whole batch of five, which is a whole identity too; one in the middle of another, cut; the last of all.
  const bad = [...paths.slice(0, 5), paths[7]!, paths[11]!];
  for (const path of bad) writeFileSync(join(damaged, path), 'no, "image"');
  writeFileSync(join(damaged, paths[7]!), readFileSync(join(faces, paths[7]!)).subarray(0, 400));
  const skip = ['--on-bad-image', 'skip', '--max-bad-images', '0.6'];
  const out = at('out', 'part.safetensors');
  const { code, output, errors } = await embed([model, damaged, out, ...BATCH, ...skip]);
  expect({ code, errors }).toMatchObject({ code: 0, errors: expect.stringContaining('embedded 12 of 12\n') as string });
  expect(output).toContain('part.safetensors: 5 images of 3 identities, 16 numbers each');
  expect(output).toContain(
    `${at('out', 'part.left-out.csv')}: images that cannot be decoded, without a row: 7 of 12\n`,
  );

  const good = paths.flatMap((path, index) => (bad.includes(path) ? [] : [index]));
  expect(listed(at('out', 'part.csv'))).toEqual([
    'path,identity',
    ...good.map((i) => listed(at('out', 'whole.csv'))[1 + i]),
  ]);
  const [all, part] = [readSafetensors(whole), readSafetensors(out)];
  expect(part.get('labels')!.values).toEqual(Int32Array.from(good, (i) => all.get('labels')!.values[i]!));
  expectRows(
    part.get('embeddings')!.values as Float32Array,
    good.map((i) => row(all.get('embeddings')!.values as Float32Array, i)),
  );
  const leftOut = listed(at('out', 'part.left-out.csv'));
  expect(leftOut).toHaveLength(8);
  expect(leftOut[0]).toBe('path,reason');
  for (const [i, path] of bad.entries())
    expect(leftOut[1 + i]).toMatch(new RegExp(`^${path},"?${join(damaged, path)}: expected a`));
  expect(leftOut[6]).toContain('expected a whole image, received a damaged one');

  const none = await embed([model, faces, at('out', 'none.npy'), ...BATCH, '--on-bad-image', 'skip']);
  expect(none).toMatchObject({ code: 0, output: expect.not.stringContaining('left-out') as string });
  expect(readdirSync(at('out')).filter((name) => name.startsWith('none'))).toEqual(['none.csv', 'none.npy']);
});

it('stops above the share of bad images, and takes no share of what it does not skip', async () => {
  const damaged = at('all-damaged');
  mkdirSync(join(damaged, 'id'), { recursive: true });
  for (const name of ['1.png', '2.png']) writeFileSync(join(damaged, 'id', name), 'no image');
  const out = at('out', 'e.npy');
  const last = `the last of them ${join(damaged, 'id/2.png')}: expected a JPEG, PNG or WebP image`;
  for (const [flags, code, message] of [
    [
      ['--on-bad-image', 'skip'],
      1,
      `E_FORMAT: maxBadImages: expected at most a share of 0.001 of images that cannot be decoded, received 2 of 2, ${last}`,
    ],
    [
      ['--on-bad-image', 'skip', '--max-bad-images', '1'],
      1,
      `E_FORMAT: images: expected at least one that can be decoded, received none of 2, ${last}`,
    ],
    [
      ['--max-bad-images', '0.5'],
      1,
      'E_RANGE: maxBadImages: expected only with onBadImage skip, received onBadImage stop',
    ],
    [['--on-bad-image', 'skip', '--max-bad-images', '2'], 2, 'Expected a number from 0 to 1'],
    [['--on-bad-image', 'replace'], 2, 'Allowed choices are stop, skip'],
  ] as const) {
    const { errors, ...result } = await embed([model, damaged, out, '--backend', 'wasm', ...flags]);
    expect({ ...result, errors }).toEqual({ code, output: '', errors: expect.stringContaining(message) as string });
    expect(readdirSync(at('out'))).toEqual([]);
  }
});

it.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('leaves nothing behind after %s', async (signal, code) => {
  let sent = false;
  const stopped = await embed([model, faces, at('out', 'stopped.npy'), ...BATCH], (text) => {
    if (!sent && text.startsWith('embedded')) {
      sent = true;
      process.emit(signal, signal);
    }
  });
  expect(stopped).toMatchObject({ code, output: '' });
  expect(stopped.errors).toMatch(new RegExp(`embedded 5 of 12\n\n${signal}: stopped embedding; nothing was kept\n$`));
  expect(readdirSync(at('out'))).toEqual([]);
});
