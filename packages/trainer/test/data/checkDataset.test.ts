import { chmodSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { formatReport, registerDataCommand } from '../../dist/cli/commands/data.js';
import { checkDataset, readPairs } from '../../dist/data/index.js';
import { imageFolder, picture, put, temporaryFolder } from './fixtures.js';

describe('checkDataset', () => {
  it('finds nothing in a sound dataset', async () => {
    const report = await checkDataset(await imageFolder(3, 5));
    expect(report).toMatchObject({ identities: 3, images: 15, ok: true, findings: [] });
    expect(report.imagesPerIdentity).toEqual([{ label: '4–7', count: 3 }]);
    expect(report.resolutions).toEqual([{ label: '24×24', count: 15 }]);
    expect(formatReport(report)).toMatch(/15 images of 3 identities[^]*Ready to train/);
  });

  it('names everything that is wrong, the worst first', async () => {
    const root = await imageFolder(2, 2);
    const [one, two, big] = [await picture(100), await picture(101), await picture(102, 40)];
    put(root, 'person_0/cut.jpg', big.subarray(0, big.length * 0.8));
    put(root, 'person_0/zero.jpg', new Uint8Array(0));
    symlinkSync('/nowhere/face.jpg', join(root, 'person_1/dangling.jpg'));
    mkdirSync(join(root, 'nobody'));
    for (const path of ['person_0/one.jpg', 'person_1/one.jpg', 'person_1/again.jpg']) put(root, path, one);
    for (const path of ['person_1/two.jpg', 'person_1/twice.jpg']) put(root, path, two);
    put(root, 'person_1/png.jpg', await picture(103, 24, 'png'));
    put(root, 'person_1/notes.txt', 'hello');
    put(root, 'stray.jpg', big);
    put(root, 'person_1/phone.heic', big);
    put(root, 'person_1/2019/1.jpg', big);
    const report = await checkDataset(root);
    expect(report.ok).toBe(false);
    expect(report.findings.map(({ severity, kind, paths }) => [severity, kind, ...paths])).toEqual([
      ['error', 'damaged image', 'person_0/cut.jpg'],
      ['error', 'damaged image', 'person_0/zero.jpg'],
      ['error', 'damaged image', 'person_1/dangling.jpg'],
      ['error', 'empty identity', 'nobody'],
      ['error', 'duplicate across identities', 'person_0/one.jpg', 'person_1/again.jpg', 'person_1/one.jpg'],
      ['note', 'picture left out', 'person_1/2019'],
      ['note', 'picture left out', 'person_1/phone.heic'],
      ['note', 'picture left out', 'stray.jpg'],
      ['note', 'duplicate within an identity', 'person_1/twice.jpg', 'person_1/two.jpg'],
      ['note', 'wrong extension', 'person_1/png.jpg'],
      ['note', 'not an image', 'person_1/notes.txt'],
    ]);
    expect(formatReport(report)).toMatch(/stray\.jpg: outside every identity’s folder/);
    expect(formatReport(report)).toMatch(/damaged image \(3\); replace or remove[^]*Mend the errors/);
  });

  it.skipIf(process.getuid?.() === 0)('names files without permission to read', async () => {
    const root = await imageFolder(1, 2);
    chmodSync(join(root, 'person_0/1.jpg'), 0);
    expect((await checkDataset(root)).findings).toEqual([expect.objectContaining({ kind: 'damaged image', paths: ['person_0/1.jpg'] })]);
  });

  it('refuses a folder without identities', async () => {
    await expect(checkDataset(temporaryFolder())).rejects.toMatchObject({ code: 'E_FORMAT' });
    await expect(checkDataset('/nowhere/at/all')).rejects.toMatchObject({ code: 'E_FORMAT' });
  });
});

describe('hyperarc data', () => {
  let printed = '';
  beforeEach(() => {
    printed = '';
    vi.spyOn(console, 'log').mockImplementation((text: string) => void (printed += text));
  });
  afterEach(() => {
    vi.restoreAllMocks();
    process.exitCode = 0;
  });
  async function command(...args: string[]): Promise<number> {
    process.exitCode = 0;
    const program = new Command().exitOverride();
    registerDataCommand(program);
    await program.parseAsync(args, { from: 'user' });
    return Number(process.exitCode);
  }

  it('check exits with 1 when something must be mended, and prints JSON when asked', async () => {
    const root = await imageFolder(2, 2);
    expect(await command('data', 'check', root)).toBe(0);
    put(root, 'person_0/zero.jpg', new Uint8Array(0));
    printed = '';
    expect(await command('data', 'check', root, '--json')).toBe(1);
    expect(JSON.parse(printed)).toMatchObject({ ok: false, images: 5 });
  });

  it('pairs writes a list that can be read', async () => {
    const file = join(temporaryFolder(), 'pairs.txt');
    expect(await command('data', 'pairs', await imageFolder(6, 4), '--output', file, '--pairs', '24', '--folds', '3')).toBe(0);
    expect(await readPairs(file)).toHaveLength(24);
  });
});
