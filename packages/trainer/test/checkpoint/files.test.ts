import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { writeAtomically } from '../../dist/files.js';

const folder = mkdtempSync(join(tmpdir(), 'hyperarc-files-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('writes a file whole, and leaves nothing behind where it cannot', () => {
  writeAtomically(join(folder, 'a'), 'before');
  writeAtomically(join(folder, 'a'), 'after');
  expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('after');
  mkdirSync(join(folder, 'taken'));
  expect(() => writeAtomically(join(folder, 'taken'), 'x')).toThrow(/EISDIR/);
  expect(readdirSync(folder).sort()).toEqual(['a', 'taken']);
});
