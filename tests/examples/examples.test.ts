import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';

const folder = fileURLToPath(new URL('../../examples', import.meta.url));
/** What examples write, they write in their working directory. */
const workingFolder = mkdtempSync(join(tmpdir(), 'hyperarc-examples-'));
afterAll(() => rmSync(workingFolder, { recursive: true }));

/** A line that an example has to print; any output will do for one that is not here. */
const EXPECTED: Record<string, RegExp> = {
  'engine.mjs': /^step 9: loss \d/m,
  'heads.mjs': /^mean cosine of embeddings with their own centres: 0\.[6-9]/m,
  'train.mjs': /^40 steps; [^]*^trained: \d[\d.]*%\n[^]*^embeddings: \[ null, 32 \]/m,
};

describe('examples', () => {
  const files = readdirSync(folder).filter((name) => name.endsWith('.mjs'));

  it('are there, all that have a line to print', () => {
    expect(files).toEqual(expect.arrayContaining(Object.keys(EXPECTED)));
  });

  it.each(files)('%s runs', async (name) => {
    const { stdout } = await promisify(execFile)(process.execPath, [join(folder, name)], { cwd: workingFolder });
    expect(stdout).toMatch(EXPECTED[name] ?? /\S/);
  });
});
