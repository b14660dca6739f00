/** Finding and probing the addon, each case in a process of its own. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { addonStatus, type AddonStatus } from '../../dist/index.js';

const index = new URL('../../dist/index.js', import.meta.url).href;
const good = addonStatus().path ?? '';
const folder = mkdtempSync(join(tmpdir(), 'hyperarc-loader-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** What a fresh process says of the addon file at `path`. */
function statusOf(path: string | undefined): AddonStatus & { thrown?: { code: string; message: string } } {
  const source = `
    import { addonStatus, openDevice } from ${JSON.stringify(index)};
    const status = addonStatus();
    let thrown;
    try { openDevice('cpu').dispose(); } catch ({ code, message }) { thrown = { code, message }; }
    console.log(JSON.stringify({ ...status, thrown }));`;
  const env = { ...process.env };
  delete env['HYPERARC_ADDON'];
  if (path !== undefined) env['HYPERARC_ADDON'] = path;
  const { stdout, stderr, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', source], {
    env,
    encoding: 'utf8',
  });
  expect(signal, stderr).toBeNull();
  return JSON.parse(stdout) as AddonStatus;
}

describe('the addon', () => {
  it('is the local build without HYPERARC_ADDON', () => {
    expect(statusOf(undefined)).toMatchObject({ loaded: true, tried: [{ outcome: 'loaded' }] });
  });

  it('needs nothing but the C library', () => {
    const { stdout, status } = spawnSync('ldd', [good], { encoding: 'utf8' });
    expect(status).toBe(0);
    const names = stdout.split('\n').map((line) => line.trim().split(' ')[0]!.replace(/^.*\//, ''));
    const others = names.filter((name) => !/^(|linux-vdso\.so.*|ld-linux.*|lib(c|m|dl|rt|pthread)\.so.*)$/.test(name));
    expect(others).toEqual([]);
    expect(names.some((name) => name.startsWith('libc.so'))).toBe(true);
  });

  it('is the file that HYPERARC_ADDON names', () => {
    const path = join(folder, 'elsewhere.node');
    copyFileSync(good, path);
    expect(statusOf(path)).toMatchObject({ loaded: true, path });
  });

  it('named and not there is an error, and nothing else is tried', () => {
    const path = join(folder, 'none.node');
    const status = statusOf(path);
    expect(status).toMatchObject({
      loaded: false,
      tried: [{ path, outcome: 'not there' }],
      mend: 'unset HYPERARC_ADDON, or name a working hyperarc.node in it',
      thrown: { code: 'E_DEVICE' },
    });
    expect(status.error).toMatch(
      /^E_DEVICE: addon: expected .* received .*none\.node \(not there\); unset HYPERARC_ADDON/,
    );
  });

  it.each([
    ['empty', ''],
    ['a text', 'not a shared library'],
  ])('that is %s is an error with the reason', (_, content) => {
    const path = join(folder, 'broken.node');
    writeFileSync(path, content);
    const status = statusOf(path);
    expect(status.loaded).toBe(false);
    expect(status.error).toMatch(/does not load: .*(file too short|invalid ELF header)/);
  });

  it('that was cut short is an error, whatever the loader does about it', () => {
    const path = join(folder, 'short.node');
    copyFileSync(good, path);
    truncateSync(path, 100_000);
    expect(statusOf(path)).toMatchObject({ loaded: false, thrown: { code: 'E_DEVICE' } });
  });

  it('that kills its process kills only the probe', () => {
    const path = join(folder, 'deadly.js');
    writeFileSync(path, "process.kill(process.pid, 'SIGILL'); setInterval(() => {}, 1000);");
    expect(statusOf(path).error).toMatch(/ended a child process with SIGILL/);
  });

  it('of another version of the binding is an error', () => {
    const path = join(folder, 'old.js');
    writeFileSync(path, 'exports.abi = 0; exports.listDevices = () => [];');
    expect(statusOf(path).error).toMatch(/speaks version 0 of the binding, this package speaks 4/);
  });
});
