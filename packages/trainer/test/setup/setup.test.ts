import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { WHEEL_VERSION } from '../../setup/choose.mjs';
import { installedBinding, readState, setupTensorFlow, type SetupEnvironment } from '../../setup/setup-tensorflow.mjs';

let root: string;
let environment: SetupEnvironment;
let lines: string[];
const log = (line: string) => lines.push(line);
const works = () => ({ tensorflowVersion: '2.99.0', usesGpu: false });

function script(name: string, body: string): string {
  const path = join(root, name);
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** A folder with the layout of the C archive. */
function fakeLibrary(name: string): string {
  const folder = join(root, name);
  mkdirSync(join(folder, 'include', 'tensorflow', 'c'), { recursive: true });
  mkdirSync(join(folder, 'lib'));
  writeFileSync(join(folder, 'include', 'tensorflow', 'c', 'c_api.h'), '');
  for (const library of ['libtensorflow.so.2', 'libtensorflow_framework.so.2']) {
    writeFileSync(join(folder, 'lib', library), name);
  }
  return folder;
}

/** An installed tfjs-node-gpu whose "compiler" writes its arguments to the output file and counts its runs. */
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hyperarc-setup-'));
  lines = [];
  const tfjs = join(root, 'tfjs');
  mkdirSync(join(tfjs, 'binding'), { recursive: true });
  writeFileSync(join(tfjs, 'binding', 'a.cc'), '');
  environment = {
    tfjs: { folder: tfjs, version: '4.22.0' },
    platform: 'linux',
    arch: 'x64',
    nodeAbi: '115',
    nodeVersion: process.versions.node,
    cache: join(root, 'cache'),
    compiler: script(
      'compiler',
      `echo run >> ${root}/compiled\nfor a; do [ "$last" = -o ] && out=$a; last=$a; done\necho "$@" > "$out"`,
    ),
    python: script('python', 'echo no network >&2; exit 1'),
    tar: spawnSync('which', ['tar'], { encoding: 'utf8' }).stdout.trim(),
    nvidiaGpu: false,
    archiveUrl: `file://${root}/absent.tar.gz`,
  };
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const compilations = () => readFileSync(join(root, 'compiled'), 'utf8').trim().split('\n').length;

describe('setupTensorFlow', () => {
  it('builds against a named folder, links the result, and skips it the second time', async () => {
    const libtensorflow = fakeLibrary('mine');
    const state = await setupTensorFlow({ libtensorflow }, log, environment, works);
    expect(state).toMatchObject({ ready: true, backend: 'tensorflow', tensorflowVersion: '2.99.0' });
    expect(readFileSync(installedBinding(environment)!, 'utf8')).toContain(`-Wl,-rpath,${libtensorflow}/lib`);
    const again = await setupTensorFlow({ libtensorflow }, log, environment, () => {
      throw new Error('must not be probed again');
    });
    expect(again.ready).toBe(true);
    expect(compilations()).toBe(1);
    expect(lines.at(-1)).toContain('2.99.0 is ready');
  });

  it('makes the link again after npm ci, without building', async () => {
    const options = { libtensorflow: fakeLibrary('mine') };
    await setupTensorFlow(options, log, environment, works);
    rmSync(join(environment.tfjs!.folder, 'lib'), { recursive: true });
    expect(readState(environment)).toMatchObject({ ready: false, reason: expect.stringContaining('node_modules') });
    expect((await setupTensorFlow(options, log, environment, works)).ready).toBe(true);
    expect(compilations()).toBe(1);
  });

  it('builds again when the named folder has another TensorFlow', async () => {
    const libtensorflow = fakeLibrary('mine');
    await setupTensorFlow({ libtensorflow }, log, environment, works);
    writeFileSync(join(libtensorflow, 'lib', 'libtensorflow.so.2'), 'a newer library');
    await setupTensorFlow({ libtensorflow }, log, environment, works);
    expect(compilations()).toBe(2);
  });

  it('refuses a named folder that is none, instead of taking another source', async () => {
    await expect(setupTensorFlow({ libtensorflow: root }, log, environment, works)).rejects.toThrow(
      /libtensorflow: expected a folder with .*c_api\.h/,
    );
    expect(readState(environment).ready).toBe(false);
  });

  it('takes the archive when the wheel cannot be had, with a link that moves with the cache', async () => {
    const library = fakeLibrary('archive');
    spawnSync('tar', ['-czf', join(root, 'tf.tar.gz'), '-C', library, '.']);
    environment.archiveUrl = `file://${root}/tf.tar.gz`;
    const state = await setupTensorFlow({}, log, environment, works);
    expect(state).toMatchObject({ ready: true, source: expect.stringContaining('archive') });
    expect(readFileSync(state.binding!, 'utf8')).toContain('-Wl,-rpath,$ORIGIN/../../libtensorflow/');
    expect(lines.join('\n')).toMatch(
      /tensorflow-cpu==.* cannot be used: .*\n.*neither pip nor venv|neither pip nor venv/,
    );
  });

  it('ends with wasm and the reason when nothing can be had, and leaves nothing half-made', async () => {
    const state = await setupTensorFlow({}, log, environment, works);
    expect(state).toMatchObject({ ready: false, backend: 'wasm' });
    expect(state.reason).toMatch(/neither pip nor venv.*absent\.tar\.gz/s);
    expect(lines.at(-1)).toMatch(/No TensorFlow: .*WebAssembly.*times slower.*--force/s);
    expect(readdirSync(join(environment.cache, 'libtensorflow'))).toEqual([]);
    expect(installedBinding(environment)).toBeUndefined();
  });

  it('tries again after a failure only when the machine has changed', async () => {
    await setupTensorFlow({}, log, environment, works);
    const before = lines.length;
    await setupTensorFlow({}, log, environment, works);
    expect(lines.length).toBe(before + 1);
    await setupTensorFlow({}, log, { ...environment, python: script('python3', 'exit 1') }, works);
    expect(lines.length).toBeGreaterThan(before + 3);
  });

  it('clears away what a killed set-up left, and nothing of one that runs', async () => {
    const cached = join(environment.cache, 'libtensorflow');
    await setupTensorFlow({}, log, environment, works);
    const key = `wheel-cpu-${WHEEL_VERSION}-linux-x64`;
    const dead = spawnSync('true').pid;
    for (const pid of [dead, process.ppid]) mkdirSync(join(cached, `${key}.tmp-${pid}`));
    await setupTensorFlow({ force: true }, log, environment, works);
    expect(readdirSync(cached)).toEqual([`${key}.tmp-${process.ppid}`]);
  });

  it('leaves a binding alone that someone built in place', async () => {
    const own = join(environment.tfjs!.folder, 'lib', 'napi-v8');
    mkdirSync(own, { recursive: true });
    writeFileSync(join(own, 'tfjs_binding.node'), 'mine');
    await setupTensorFlow({}, log, environment, works);
    expect(readFileSync(installedBinding(environment)!, 'utf8')).toBe('mine');
  });

  it('fetches nothing with --offline', async () => {
    environment.archiveUrl = `file://${root}/tf.tar.gz`;
    const state = await setupTensorFlow({ offline: true }, log, environment, works);
    expect(state.reason).toContain('--offline');
    expect(existsSync(join(environment.cache, 'libtensorflow'))).toBe(false);
  });

  it('says that tfjs-node is missing', () => {
    expect(readState({ ...environment, tfjs: undefined })).toMatchObject({
      backend: 'none',
      reason: expect.stringContaining('npm ci'),
    });
  });

  it('removes a binding that does not load', async () => {
    const { SetupError } = await import('../../setup/files.mjs');
    environment.archiveUrl = `file://${root}/tf.tar.gz`;
    spawnSync('tar', ['-czf', join(root, 'tf.tar.gz'), '-C', fakeLibrary('archive'), '.']);
    const state = await setupTensorFlow({}, log, environment, () => {
      throw new SetupError('it was ended by SIGSEGV');
    });
    expect(state).toMatchObject({ backend: 'wasm', reason: expect.stringContaining('SIGSEGV') });
    expect(installedBinding(environment)).toBeUndefined();
  });
});
