import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { ClassCenters, openDevice } from '../../dist/index.js';
import { bits, expectError, makeBatch, sgd, testDevice } from './support.js';

const folder = mkdtempSync(join(tmpdir(), 'hyperarc-file-'));
const device = openDevice(testDevice, { threads: 1 });
afterAll(() => {
  device.dispose();
  rmSync(folder, { recursive: true });
});

const shape = { classes: 5, dim: 6, subCenters: 2 };
const path = join(folder, 'centers.safetensors');

async function saved(options: object = {}): Promise<ClassCenters> {
  const centers = device.createCenters({ ...shape, seed: 2n ** 64n - 1n, stddev: 0.25, ...options });
  const batch = makeBatch({ batch: 4, dim: 6, classes: 5 });
  const momentum = centers.config.momentum ? 0.9 : 0;
  for (let i = 0; i < 3; i += 1) centers.update(centers.forward(batch).step, { ...sgd, momentum });
  await centers.save(path);
  return centers;
}

const headerEnd = (file: Buffer) => 8 + Number(file.readBigUInt64LE(0));

describe('a class-centre file', () => {
  it.each([{}, { momentum: false }, { firstClass: 7, globalClasses: 30 }])(
    'brings everything back: %o',
    async (options) => {
      using centers = device.createCenters({ ...shape, seed: 2n ** 64n - 1n, stddev: 0.25, ...options });
      await centers.save(path);
      using loaded = await ClassCenters.load(path, { device });
      expect(loaded.config).toEqual(centers.config);
      expect(bits(loaded.readRows(0, 10))).toEqual(bits(centers.readRows(0, 10)));
      expect(readdirSync(folder)).toEqual(['centers.safetensors']);
    },
  );

  it('brings momentum back, so that training goes on as if it had not stopped', async () => {
    using centers = await saved();
    using loaded = await ClassCenters.load(path, { device });
    const batch = makeBatch({ batch: 4, dim: 6, classes: 5 }, 8);
    for (const each of [centers, loaded]) each.update(each.forward(batch).step, sgd);
    expect(bits(loaded.readRows(0, 10))).toEqual(bits(centers.readRows(0, 10)));
    expect(bits(loaded.readRows(0, 10, 'momentum'))).toEqual(bits(centers.readRows(0, 10, 'momentum')));
  });

  it('can be read without its momentum, and given one that it has not', async () => {
    using _with = await saved();
    using without = await ClassCenters.load(path, { device, momentum: false });
    expect(without.config.momentum).toBe(false);
    using _without = await saved({ momentum: false });
    using added = await ClassCenters.load(path, { device, momentum: true });
    expect(added.readRows(0, 10, 'momentum').every((value) => value === 0)).toBe(true);
  });

  it('is safetensors: length, JSON header, raw data in rows', async () => {
    using centers = await saved();
    const file = readFileSync(path);
    const end = headerEnd(file);
    const header = JSON.parse(file.subarray(8, end).toString());
    expect(end % 8).toBe(0);
    expect(header.weights).toEqual({ dtype: 'F32', shape: [5, 2, 6], data_offsets: [0, 240] });
    expect(header.momentum).toEqual({ dtype: 'F32', shape: [5, 2, 6], data_offsets: [240, 480] });
    expect(header.__metadata__).toMatchObject({ format: 'hyperarc-class-centers', seed: '18446744073709551615' });
    expect(file.subarray(end, end + 240)).toEqual(bits(centers.readRows(0, 10)));
    expect(file.length).toBe(end + 480);
  });

  it('of SGD has the header that it had before there was another optimizer', async () => {
    using _ = await saved();
    const file = readFileSync(path);
    const header = file.subarray(8, headerEnd(file)).toString().trimEnd();
    expect(header.replace(/"crc32":"[0-9a-f]{8}"/, '"crc32":"…"')).toBe(
      '{"__metadata__":{"format":"hyperarc-class-centers","version":"1","precision":"fp32","firstClass":"0","globalClasses":"5",' +
        '"seed":"18446744073709551615","stddev":"0.25","crc32":"…"},' +
        '"weights":{"dtype":"F32","shape":[5,2,6],"data_offsets":[0,240]},"momentum":{"dtype":"F32","shape":[5,2,6],"data_offsets":[240,480]}}',
    );
  });

  it('of more than one chunk comes back', async () => {
    using centers = device.createCenters({ classes: 700, dim: 4096, momentum: false });
    await centers.save(path);
    using loaded = await ClassCenters.load(path, { device });
    expect(Buffer.compare(bits(loaded.readRows(0, 700)), bits(centers.readRows(0, 700)))).toBe(0);
  });

  it('cut at any length is E_FORMAT', async () => {
    using _ = await saved();
    const file = readFileSync(path);
    for (let length = 0; length < file.length; length += length < 16 ? 1 : 13) {
      writeFileSync(path, file.subarray(0, length));
      await expectError(() => ClassCenters.load(path, { device }), 'E_FORMAT');
    }
    writeFileSync(path, Buffer.concat([file, Buffer.alloc(1)]));
    await expectError(() => ClassCenters.load(path, { device }), 'E_FORMAT', /cut short or added to/);
  });

  it('with any bit of the header flipped is E_FORMAT, and so is one of the data', async () => {
    using _ = await saved();
    const file = readFileSync(path);
    const end = headerEnd(file);
    const places = [...Array.from({ length: end }, (_, i) => i), end, end + 101, file.length - 1];
    for (const place of places) {
      const broken = Buffer.from(file);
      broken[place]! ^= 1 << (place % 8);
      writeFileSync(path, broken);
      await expectError(() => ClassCenters.load(path, { device }), 'E_FORMAT');
    }
  });

  it('that is something else is E_FORMAT', async () => {
    const withHeader = (json: string, data = 0) => {
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(Buffer.byteLength(json)));
      return Buffer.concat([length, Buffer.from(json), Buffer.alloc(data)]);
    };
    const weights = { dtype: 'F32', shape: [1, 1, 2], data_offsets: [0, 8] };
    const foreign = [
      Buffer.from('GIF89a, and some more text to be longer than a header'),
      Buffer.alloc(64, 0xff),
      withHeader('{}'),
      withHeader('null'),
      withHeader('[1, 2'),
      withHeader('{"__metadata__":{"__proto__":{"format":"x"}},"weights":null}'),
      withHeader(JSON.stringify({ weights }), 8),
      withHeader(JSON.stringify({ __metadata__: {}, weights: { ...weights, shape: [1e300, 1, 2] } }), 8),
      withHeader('['.repeat(60_000)),
    ];
    for (const bytes of foreign) {
      writeFileSync(path, bytes);
      await expectError(() => ClassCenters.load(path, { device }), 'E_FORMAT');
    }
    await expect(ClassCenters.load(join(folder, 'none'), { device })).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('leaves the earlier file and nothing else when saving fails', async () => {
    using centers = await saved();
    const before = readFileSync(path);
    const saving = centers.save(path);
    centers.seed(1);
    await expectError(() => saving, 'E_BUSY');
    centers.dispose();
    await expectError(() => centers.save(path), 'E_DISPOSED');
    expect(readFileSync(path)).toEqual(before);
    expect(readdirSync(folder)).toEqual(['centers.safetensors']);
    await expect(centers.save(join(folder, 'none', 'x'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('that cannot be loaded leaves no device open', async () => {
    using _ = await saved();
    writeFileSync(path, readFileSync(path).subarray(0, 100));
    await expectError(() => ClassCenters.load(path, { device: testDevice }), 'E_FORMAT');
  });
});
