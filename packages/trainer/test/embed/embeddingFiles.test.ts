import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { EmbeddingFiles } from '../../dist/embed/embeddingFiles.js';
import { readNpy } from '../../dist/evaluate/files/npy.js';
import { readFeatureFile } from '../../dist/evaluate/index.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-embedding-files-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const features = { valuesND: Float32Array.of(1, 2, 3, 4, 5, 6), dim: 2 };
const list = {
  names: ['b,1.png', 'a/2.png', ' "c".png'],
  owners: { identities: ['x', 'y "the, second"'], labels: Int32Array.of(1, 0, 1) },
  leftOut: [],
};
const part = { ...list, leftOut: [{ name: 'd,1.png', reason: 'd,1.png: expected "whole"' }] };

it.each(['.npy', '.safetensors'])('writes rows (%s) that evaluation reads, and their names', (ending) => {
  const files = new EmbeddingFiles(join(folder, `out.v1${ending}`));
  files.write(features, list);
  expect(readFeatureFile(files.out, 3, 'the list')).toEqual({ plain: features });
  expect(files.list).toBe(join(folder, 'out.v1.csv'));
  expect(readFileSync(files.list, 'utf8')).toBe(
    'path,identity\n"b,1.png","y ""the, second"""\na/2.png,x\n" ""c"".png","y ""the, second"""\n',
  );
  expect(readdirSync(folder)).toHaveLength(2);
});

it('writes a list of images without rows, if there are any', () => {
  const files = new EmbeddingFiles(join(folder, 'out.npy'));
  files.write(features, part);
  expect(readdirSync(folder).sort()).toEqual(['out.csv', 'out.left-out.csv', 'out.npy']);
  expect(readFileSync(files.leftOutList, 'utf8')).toBe('path,reason\n"d,1.png","d,1.png: expected ""whole"""\n');
});

it('writes a list of more rows than are put together at a time', () => {
  const rows = 70_000;
  const names = Array.from({ length: rows }, (_, i) => `${i}.png`);
  const files = new EmbeddingFiles(join(folder, 'many.npy'));
  files.write({ valuesND: new Float32Array(rows), dim: 1 }, { names, leftOut: [] });
  expect(readNpy(files.out).shape).toEqual([rows, 1]);
  expect(readFileSync(files.list, 'utf8')).toBe(`path\n${names.join('\n')}\n`);
});

it('keeps no file where one cannot be written', () => {
  const files = new EmbeddingFiles(join(folder, 'out.npy'));
  expect(() => files.write({ ...features, dim: 4 }, list)).toThrow('expected rows of 4 values, received 6 in all');
  expect(readdirSync(folder)).toEqual([]);
  mkdirSync(`${files.list}.partial`);
  expect(() => files.write(features, part)).toThrow();
  expect(readdirSync(folder)).toEqual(['out.csv.partial']);
  rmSync(`${files.list}.partial`, { recursive: true });
  files.write(features, list);
  expect(readdirSync(folder).sort()).toEqual(['out.csv', 'out.npy']);
});

it.each(['out.npy', 'out.csv', 'out.left-out.csv'])('leaves %s alone that came meanwhile', (name) => {
  const files = new EmbeddingFiles(join(folder, 'out.npy'));
  writeFileSync(join(folder, name), 'kept');
  expect(() => files.write(features, list)).toThrow(/E_RANGE: out: expected a file that is not there yet/);
  expect(readdirSync(folder)).toEqual([name]);
  expect(readFileSync(join(folder, name), 'utf8')).toBe('kept');
});
