import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { describe, expect, it } from 'vitest';
import { convertDataset, LocationReader, openDataset } from '../../../dist/data/index.js';
import { temporaryFolder } from '../fixtures.js';

const file = (name: string) => join(import.meta.dirname, `${name}.parquet`);
const image = (number: number) => readFileSync(join(import.meta.dirname, '..', 'recordio', 'vectors', `${number}.png`));

async function contents(path: string): Promise<[string, Buffer][]> {
  const dataset = await openDataset(path, { inOrder: true });
  using reader = new LocationReader();
  const found: [string, Buffer][] = [];
  for (const [i, label] of dataset.labels.entries()) {
    found.push([dataset.identities[label]!, await reader.read(dataset.locate(i))]);
    expect(dataset.locateName(dataset.nameOf(i))).toEqual(dataset.locate(i));
  }
  return found;
}

describe('Parquet', () => {
  it('gives the images and labels that an independent writer put there', async () => {
    expect(await contents(file('group'))).toEqual([
      ['10', image(1)],
      ['9', image(2)],
      ['10', image(3)],
      ['9', image(4)],
    ]);
    expect((await openDataset(file('group'), { inOrder: true })).identities).toEqual(['9', '10']);
    expect(await contents(file('bytes'))).toEqual([
      ['zoe', image(1)],
      ['zoe', image(2)],
      ['anna', image(3)],
      ['anna', image(4)],
    ]);
  });

  it('is converted, and says so to whoever would train from it', async () => {
    const work = temporaryFolder();
    expect(await convertDataset(file('group'), join(work, 'shards', 'a.tar'))).toEqual({ images: 4, identities: 2 });
    const dataset = await openDataset(join(work, 'shards'));
    expect(dataset.identities).toEqual(['10', '9']);
    using reader = new LocationReader();
    expect(await reader.read(dataset.locateName('10/000000002.png'))).toEqual(image(3));
    await convertDataset(file('bytes'), join(work, 'records', 'a.rec'));
    await expect(openDataset(file('bytes'))).rejects.toThrow(
      /^E_FORMAT: dataset: expected images that can be read in any order, received the Parquet file .*; make shards of it: hyperarc data convert/,
    );
    await expect(convertDataset(file('group'), join(work, 'b', 'a.rec'))).rejects.toThrow(
      /^E_RANGE: .*expected the images of an identity one after another, received 000000002 of 10 after others; write a folder or shards/,
    );
  });

  it.each([
    ['no-image', /expected a column of images .*, received the columns picture, label; rename one/],
    ['no-label', /expected a column of labels .*, received the columns image, age; rename one/],
    ['null-label', /row 1: expected a whole number ≥ 0 or a name as label, received null/],
    ['null-image', /row 1: expected the bytes of an image, received none/],
    ['missing', /^E_FORMAT/],
  ])('%s.parquet is refused', async (name, message) => {
    await expect(contents(file(name))).rejects.toThrow(message);
  });

  it('answers any damage with images or with E_FORMAT', { timeout: 240_000 }, async () => {
    const path = join(temporaryFolder(), 'a.parquet');
    const whole = readFileSync(file('bytes'));
    let state = 1;
    const below = (n: number) => Math.floor(((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32) * n);
    let refused = 0;
    const count = Number(process.env['HYPERARC_TEST_MUTATIONS'] ?? 1000);
    for (let i = 0; i < count; i++) {
      const bytes = Buffer.from(whole);
      for (let flips = 1 + below(3); flips > 0; flips--) bytes[below(bytes.length)]! ^= 1 << below(8);
      writeFileSync(path, below(5) === 0 ? bytes.subarray(0, below(bytes.length)) : bytes);
      try {
        const dataset = await openDataset(path, { inOrder: true });
        using reader = new LocationReader();
        for (let row = 0; row < Math.min(10, dataset.labels.length); row++) await reader.read(dataset.locate(row));
      } catch (error) {
        if (!(error instanceof HyperArcError) || error.code !== 'E_FORMAT') throw error;
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(count / 5);
    expect(refused).toBeLessThan(count);
  });
});
