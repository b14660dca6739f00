import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { CheckpointStore } from '../../dist/checkpoint/store.js';

let folder: string;
let store: CheckpointStore;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-store-'));
  store = new CheckpointStore(join(folder, 'checkpoints'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const writer = (text: string) => async (into: string) => {
  mkdirSync(join(into, 'head'));
  writeFileSync(join(into, 'head', 'centers'), text);
  writeFileSync(join(into, 'state.json'), '{}');
};
const silent = (): void => {};
const steps = (): number[] => store.list().map(({ step }) => step);

describe('CheckpointStore', () => {
  it('saves folders whole, with sizes and digests of every file', async () => {
    const path = await store.save(12, null, writer('abc'));
    expect(readdirSync(store.folder)).toEqual(['step-00000012']);
    const manifest = JSON.parse(readFileSync(join(path, 'manifest.json'), 'utf8'));
    expect(manifest).toMatchObject({ step: 12, score: null });
    expect(manifest.files[0]).toEqual({
      name: 'head/centers',
      bytes: 3,
      sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    });
    expect((await store.newest(false, silent)).path).toBe(path);
  });

  it('leaves the old ones alone when a write fails', async () => {
    await store.save(1, null, writer('one'));
    await expect(store.save(2, null, () => Promise.reject(new Error('disk full')))).rejects.toThrow('disk full');
    expect(readdirSync(store.folder)).toEqual(['step-00000001']);
  });

  it('does not count what a killed process left, and clears it', async () => {
    await store.save(1, null, writer('one'));
    mkdirSync(join(store.folder, '.partial-step-00000002'));
    expect((await store.newest(false, silent)).step).toBe(1);
    await store.save(3, null, writer('three'));
    expect(readdirSync(store.folder)).toEqual(['step-00000001', 'step-00000003']);
  });

  it('replaces a checkpoint of the same step', async () => {
    await store.save(1, null, writer('damaged'));
    const path = await store.save(1, null, writer('new'));
    expect(readFileSync(join(path, 'head', 'centers'), 'utf8')).toBe('new');
    expect(readdirSync(store.folder)).toEqual(['step-00000001']);
  });

  it('keeps the newest and the best', async () => {
    for (const [step, score] of [1, 5, 3, 5, 2, 4].entries()) {
      await store.save(step, score, writer('x'));
      store.prune({ keepLast: 2, keepBest: 1 }, step);
    }
    expect(steps()).toEqual([3, 4, 5]);
    expect(store.best()?.step).toBe(3);
  });

  it('keeps as many of the best as it is told, the newer of equals first, and none at 0', async () => {
    for (const [step, score] of [5, 7, null, 7, 6, 1].entries()) await store.save(step, score, writer('x'));
    expect(store.ranked().map(({ step }) => step)).toEqual([3, 1, 4, 0, 5]);
    store.prune({ keepLast: 1, keepBest: 3 }, 5);
    expect(steps()).toEqual([1, 3, 4, 5]);
    store.prune({ keepLast: 1, keepBest: 1 }, 5);
    expect(steps()).toEqual([3, 5]);
    store.prune({ keepLast: 1, keepBest: 0 }, 5);
    expect(steps()).toEqual([5]);
  });

  it('keeps what was saved last after a later, damaged one was passed over', async () => {
    await store.save(1, null, writer('x'));
    truncateSync(join(await store.save(9, null, writer('x')), 'state.json'), 0);
    await store.newest(true, silent);
    await store.save(2, null, writer('x'));
    store.prune({ keepLast: 1, keepBest: 1 }, 2);
    expect(steps()).toEqual([2]);
  });

  const damage: [string, (path: string) => void][] = [
    ['truncated', (path) => truncateSync(join(path, 'head', 'centers'), 2)],
    ['altered', (path) => writeFileSync(join(path, 'head', 'centers'), 'twO')],
    ['missing', (path) => rmSync(join(path, 'state.json'))],
    ['without manifest', (path) => rmSync(join(path, 'manifest.json'))],
    ['of a cut manifest', (path) => truncateSync(join(path, 'manifest.json'), 40)],
  ];
  it.each(damage)('refuses a checkpoint that is %s, and falls back only when told to', async (_, harm) => {
    const older = await store.save(1, null, writer('one'));
    const newer = await store.save(2, null, writer('two'));
    harm(newer);
    await expect(store.newest(false, silent)).rejects.toThrow(
      new RegExp(`E_FORMAT: .*--fall-back to go on from ${older}`),
    );
    const warnings: string[] = [];
    expect((await store.newest(true, (message) => warnings.push(message))).path).toBe(older);
    expect(warnings).toHaveLength(1);
    expect(existsSync(newer)).toBe(true);
  });

  it('says so when there is none, or no whole one', async () => {
    await expect(store.newest(false, silent)).rejects.toThrow(/E_FORMAT: .*expected a whole checkpoint, found none/);
    truncateSync(join(await store.save(1, null, writer('one')), 'state.json'), 0);
    await expect(store.newest(true, silent)).rejects.toThrow(/found none/);
  });
});
