import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { scanImageFolder, splitIdentities } from '../../dist/data/index.js';
import { imageFolder, picture, put, temporaryFolder } from './fixtures.js';

describe('scanImageFolder', () => {
  it('lists images by identity, sorted by code unit, whatever the case of the extension', async () => {
    const root = temporaryFolder();
    const image = await picture(0);
    for (const path of ['b/2.JPG', 'b/10.jpeg', 'a/x.PNG', 'a/y.WebP', 'a/notes.txt', 'a/.hidden.jpg', 'a/deeper/y.jpg', 'B/z.jpg']) put(root, path, image);
    put(root, 'attributes.csv', 'path');
    mkdirSync(join(root, 'empty'));
    mkdirSync(join(root, '.cache'));
    const dataset = scanImageFolder(root);
    expect(dataset.identities).toEqual(['B', 'a', 'b']);
    expect(dataset.samples).toEqual([
      { path: 'B/z.jpg', label: 0 },
      { path: 'a/x.PNG', label: 1 },
      { path: 'a/y.WebP', label: 1 },
      { path: 'b/10.jpeg', label: 2 },
      { path: 'b/2.JPG', label: 2 },
    ]);
  });

  it('says how many pictures it leaves out, and why', async () => {
    const root = await imageFolder(2, 2);
    const lines: string[] = [];
    scanImageFolder(root, (line) => lines.push(line));
    expect(lines).toEqual([]);
    const image = await picture(0);
    for (const path of ['person_0/a.gif', 'person_1/b.HEIC', 'person_1/2019/trip/c.jpg', 'd.png']) put(root, path, image);
    for (const path of ['person_0/notes.txt', 'person_0/.hidden.gif', 'person_0/texts/e.txt', 'person_0/.cache/f.jpg', 'attributes.csv']) put(root, path, 'x');
    expect(scanImageFolder(root, (line) => lines.push(line)).samples).toHaveLength(4);
    expect(lines).toEqual([
      `warning: pictures in ${root} are left out: 2 neither JPEG, PNG nor WebP, 1 in a folder within an identity’s, 1 outside every identity’s folder; hyperarc data check ${root} names them`,
    ]);
  });

  it('follows a linked identity folder', async () => {
    const [root, elsewhere] = [temporaryFolder(), temporaryFolder()];
    put(elsewhere, 'someone/1.jpg', await picture(0));
    symlinkSync(join(elsewhere, 'someone'), join(root, 'linked'));
    expect(scanImageFolder(root).samples).toEqual([{ path: 'linked/1.jpg', label: 0 }]);
  });

  it.each([
    ['an absent folder', () => '/nowhere/at/all'],
    ['an empty folder', () => temporaryFolder()],
    [
      'only empty identities',
      () => {
        const root = temporaryFolder();
        mkdirSync(join(root, 'nobody'));
        return root;
      },
    ],
  ])('refuses %s', (_, make) => {
    expect(() => scanImageFolder(make())).toThrow(expect.objectContaining({ code: 'E_FORMAT', message: expect.stringContaining('dataset: expected') }));
  });
});

describe('splitIdentities', () => {
  it('shares no identity, numbers both parts densely and keeps every image', async () => {
    const dataset = scanImageFolder(await imageFolder(7, 2));
    const { train, test } = splitIdentities(dataset, { heldOut: 3, seed: 5 });
    expect(test.identities).toHaveLength(3);
    expect([...train.identities, ...test.identities].sort()).toEqual(dataset.identities);
    for (const part of [train, test]) {
      expect(new Set(part.labels)).toEqual(new Set(part.identities.keys()));
      part.labels.forEach((label, i) => expect(part.nameOf(i).split('/')[0]).toBe(part.identities[label]));
    }
    expect(train.labels.length + test.labels.length).toBe(14);
  });

  it('depends on the seed alone', async () => {
    const dataset = scanImageFolder(await imageFolder(12, 1));
    const heldOut = (seed: number) => splitIdentities(dataset, { heldOut: 5, seed }).test.identities;
    expect(heldOut(1)).toEqual(heldOut(1));
    expect(heldOut(1)).not.toEqual(heldOut(2));
  });

  it.each([0, 3, 4, 1.5, Number.NaN])('refuses to hold out %s of 3 identities', async (heldOut) => {
    const dataset = scanImageFolder(await imageFolder(3, 1));
    expect(() => splitIdentities(dataset, { heldOut, seed: 1 })).toThrow(/E_RANGE: heldOut: expected .* from 1 to 2/);
  });
});
