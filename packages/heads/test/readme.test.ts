import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, expect, it } from 'vitest';

const packageFolder = fileURLToPath(new URL('..', import.meta.url));
const outputFolder = mkdtempSync(join(tmpdir(), 'hyperarc-readme-'));
afterAll(() => rmSync(outputFolder, { recursive: true }));

const programs = [...readFileSync(join(packageFolder, 'README.md'), 'utf8').matchAll(/```js\n([^]*?)```/g)].map(
  ([, program]) => program,
);

/** Runs a program as if it were a file of the package, with what it saves put aside. */
async function run(program: string): Promise<string> {
  const savedTo = JSON.stringify(join(outputFolder, 'centers.safetensors'));
  const args = ['--input-type=module', '--eval', program.replace("'centers.safetensors'", savedTo)];
  return (await promisify(execFile)(process.execPath, args, { cwd: packageFolder })).stdout;
}

it('the README’s programs run as printed', async () => {
  expect(programs.length).toBe(6);
  expect(await run(programs[0])).toContain('[0, 1, 2, 3');
  const [accuracy, ...classes] = (await run(programs[1])).split('\n');
  expect(Number(accuracy)).toBe(1);
  expect(classes.join('')).toContain('[0, 1, 2, 3');
  expect(Number((await run(programs[2])).trim())).toBeGreaterThan(2 * 4 * 100_000 * 64);
  expect(existsSync(join(outputFolder, 'centers.safetensors'))).toBe(true);
  expect(await run(programs[3])).toBe('{"head":"magface","adaptations":[{"kind":"magnitude"}]}\n');
  expect(Number((await run(programs[4])).match(/[\d.]+/)?.[0])).toBeLessThan(2.3);
  expect(await run(programs[5])).toBe('[ 3, 14, 15 ] 3 15\n[ 0, 1, 2 ] [ 0, 1, 2 ]\n');
}, 180_000);
