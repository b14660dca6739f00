import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(root, 'examples');
/** What examples write, they write in their working directory. */
const workingFolder = mkdtempSync(join(tmpdir(), 'hyperarc-examples-'));
afterAll(() => rmSync(workingFolder, { recursive: true }));

/** A line that an example has to print; any output will do for one that is not here. */
const EXPECTED: Record<string, RegExp> = {
  'engine.mjs': /^step 9: loss \d/m,
  'heads.mjs': /^mean cosine of embeddings with their own centres: 0\.[6-9]/m,
  'margins.mjs': /^CurricularFace, step 9: loss \d/m,
  'layers.mjs':
    /^loss \d.*accuracy held back (1\.0|0\.[89])[^]*model: (\d\S*), of the saved one: \2$[^]*^embeddings: \[ 40, 8 \]/m,
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

describe('README', () => {
  it('its program runs as printed, and its centres learn', async () => {
    const programs = [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/```js\n([^]*?)```/g)];
    expect(programs.length).toBe(1);
    // The program prints nothing: ask it for the loss over all classes before it gives the head up.
    const program = programs[0]![1]!.replace(
      'head.dispose();',
      'console.log(`loss ${(await head.evaluate(tf.matMul(images, backbone), labels)).loss}`);\nhead.dispose();',
    );
    const args = ['--input-type=module', '--eval', program];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root });
    // Above 40 for untrained centres (scale 64, 100,000 classes); next to nothing once the 16 people are learnt.
    const loss = Number(/^loss (\S+)$/m.exec(stdout)?.[1]);
    expect(loss).toBeGreaterThanOrEqual(0);
    expect(loss).toBeLessThan(10);
  });
});
