import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openDataset } from '../../dist/data/index.js';
import { temporaryFolder } from './fixtures.js';

async function open(name: string, text: string) {
  const folder = temporaryFolder();
  writeFileSync(join(folder, name), text);
  const dataset = await openDataset(join(folder, name));
  expect(dataset.locate(0)).toEqual({ kind: 'file', path: join(folder, dataset.nameOf(0)) });
  return Array.from(dataset.labels, (label, i) => [dataset.nameOf(i), dataset.identities[label], label]);
}

describe('a list of images', () => {
  it('has whole numbers or names as labels, in their order, and paths that may hold blanks', async () => {
    expect(await open('a.txt', '# faces\nb 1.jpg  10\n\nb/2.jpg 9\r\n')).toEqual([['b/2.jpg', '9', 0], ['b 1.jpg', '10', 1]]);
    expect(await open('a.tsv', 'a b.jpg\tAnna Bell\nc.jpg\tAda')).toEqual([['c.jpg', 'Ada', 0], ['a b.jpg', 'Anna Bell', 1]]);
    expect(await open('a.csv', 'path,label\na,b.jpg,x\nc.jpg, y\n')).toEqual([['a,b.jpg', 'x', 0], ['c.jpg', 'y', 1]]);
    expect(await open('a.csv', 'path.jpg,label\n')).toEqual([['path.jpg', 'label', 0]]);
    expect(await open('a.lst', '0\t7.000000\ta/b.jpg\n1\t3\tc d.jpg\n2\t3\tb.jpg\n')).toEqual([['c d.jpg', '3', 0], ['b.jpg', '3', 0], ['a/b.jpg', '7', 1]]);
  });

  it.each<[string, string, RegExp]>([
    ['a.txt', 'a.jpg 1\nb.jpg\n', /a\.txt:2: expected path and label, received "b\.jpg"; mend the line/],
    ['a.txt', 'a.jpg 1\na.jpg 2\n', /a\.txt:2: expected each image once, received a\.jpg, which line 1 has too/],
    ['a.txt', '\n#\n', /a\.txt: expected images, received none/],
    ['a.txt', 'a.jpg ../b\n', /a\.txt:1: expected path and label/],
    ['a.csv', 'a.jpg;1\n', /a\.csv:1: expected path,label, received "a\.jpg;1"/],
    ['a.lst', '0\t1\n', /a\.lst:1: expected index<TAB>label<TAB>path/],
    ['a.lst', '0\t1.5\ta.jpg\n', /expected index<TAB>label<TAB>path/],
    ['a.lst', '0\t\ta.jpg\n', /expected index<TAB>label<TAB>path/],
    ['a.lst', 'x\t1\ta.jpg\n', /expected index<TAB>label<TAB>path/],
  ])('%s of %j is refused', async (name, text, message) => {
    await expect(open(name, text)).rejects.toThrow(message);
  });
});

describe('openDataset', () => {
  it('says what it takes', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'faces.tar.gz'), '');
    writeFileSync(join(folder, 'faces.mp4'), '');
    await expect(openDataset(join(folder, 'faces.tar.gz'))).rejects.toThrow(/^E_FORMAT: dataset: expected an image folder, a RecordIO file \(\.rec\), tar shards .*; unpack it first$/);
    await expect(openDataset(join(folder, 'faces.mp4'))).rejects.toThrow(/received .*faces\.mp4$/);
    await expect(openDataset(join(folder, 'none'))).rejects.toThrow(/^E_FORMAT: dataset: expected a folder or file at .*none, received none; check the path$/);
  });
});
