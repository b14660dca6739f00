import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { readState } from '../../setup/setup-tensorflow.mjs';

const BACKEND = fileURLToPath(new URL('../../dist/backend/index.js', import.meta.url));
const ready = readState().ready;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-backend-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a program in its own process, since a backend once loaded stays. */
function run(body: string, env: Record<string, string> = {}, nodeArguments: string[] = []) {
  const program = `
    import { backendStatus, initBackend } from ${JSON.stringify(BACKEND)};
    import * as tf from '@tensorflow/tfjs-core';
    const lines = [];
    const log = (line) => lines.push(line);
    ${body}`;
  const result = spawnSync(process.execPath, [...nodeArguments, '--input-type=module', '--eval', program], {
    encoding: 'utf8',
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: { ...process.env, ...env },
  });
  const answer = result.stdout.trim().split('\n').at(-1)!;
  if (result.status !== 0) throw new Error(`${result.stdout}${result.stderr}`);
  return JSON.parse(answer) as { [key: string]: never };
}

const ONE_GRADIENT = `
  const image = tf.ones([1, 4, 4, 2]);
  const filter = tf.ones([3, 3, 2, 3]);
  const gradient = tf.grad((w) => tf.sum(tf.conv2d(image, w, 1, 'same')))(filter);
  const first = gradient.dataSync()[0];`;

describe('initBackend', () => {
  it.runIf(ready)('takes TensorFlow where it is set up, and says nothing', () => {
    const answer = run(`
      const info = await initBackend('auto', log);
      ${ONE_GRADIENT}
      console.log(JSON.stringify({ info, lines, first, current: tf.getBackend(), status: backendStatus() }));`);
    expect(answer).toMatchObject({ lines: [], first: 9, current: 'tensorflow' });
    expect(answer['info']).toMatchObject({ name: 'tensorflow', tensorflowVersion: readState().tensorflowVersion });
    expect(answer['status']).toEqual(answer['info']);
  });

  it('takes wasm with gradients where it is not, and says in one line why and what it costs', () => {
    // An empty cache: the set-up is unknown there, and a preload hides the binding of node_modules.
    const hide = join(folder, 'hide.cjs');
    writeFileSync(
      hide,
      `const fs = require('fs'); const { existsSync } = fs;
       fs.existsSync = (path) => !String(path).includes('napi-v8') && existsSync(path);
       require('module').syncBuiltinESMExports();`,
    );
    const answer = run(
      `
      const info = await initBackend('auto', log);
      ${ONE_GRADIENT}
      console.log(JSON.stringify({ info, lines, first, current: tf.getBackend(), status: backendStatus() }));`,
      { HYPERARC_CACHE: folder },
      ['--require', hide],
    );
    expect(answer).toMatchObject({ current: 'wasm', first: 9 });
    expect(answer['info']).toMatchObject({ name: 'wasm', reason: expect.stringContaining('scripts/setup-tensorflow') });
    expect(answer['info']).not.toHaveProperty('cannotTrain');
    expect(answer['lines']).toEqual([
      expect.stringMatching(/^No TensorFlow: .*never set up.*WebAssembly.*times slower/),
    ]);
    expect(answer['status']).toMatchObject({ name: 'wasm', fix: expect.stringContaining('setup-tensorflow') });
  });

  it.runIf(ready)('tries a binding that it does not know in a child process: a crash is a message', () => {
    const crash = join(folder, 'crash.cjs');
    // The probe dies before it loads anything.
    writeFileSync(crash, `if (process.argv[1]?.endsWith('probe.mjs')) process.kill(process.pid, 'SIGSEGV');`);
    const answer = run(
      `
      const info = await initBackend('auto', log);
      console.log(JSON.stringify({ info, lines }));`,
      { HYPERARC_CACHE: folder, NODE_OPTIONS: `--require ${crash}` },
    );
    expect(answer['info']).toMatchObject({ name: 'wasm', reason: expect.stringMatching(/does not load.*SIGSEGV/s) });
  });

  it('loads what is asked for by name', () => {
    for (const name of ['wasm', 'cpu']) {
      const answer = run(`
        const info = await initBackend('${name}', log);
        ${ONE_GRADIENT}
        console.log(JSON.stringify({ info, lines, first, current: tf.getBackend() }));`);
      expect(answer).toMatchObject({ info: { name }, lines: [], first: 9, current: name });
    }
  });

  it('refuses a name that is no backend', () => {
    const answer = run(`
      let message;
      try { await initBackend('webgl', log); } catch (error) { message = error.message; }
      console.log(JSON.stringify({ message }));`);
    expect(answer['message']).toMatch(/^E_RANGE: backend: expected one of auto, tensorflow, wasm, cpu, received webgl/);
  });
});
