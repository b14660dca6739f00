import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const parent = mkdtempSync(join(tmpdir(), 'hyperarc-bundle-'));
const folder = join(parent, 'bundle');

beforeAll(() => {
  // The addon as it is built here: only the archive and nvcc's work for one architecture are left out.
  const addon = join(root, 'native', 'build', 'Release', 'hyperarc.node');
  execFileSync(join(root, 'scripts', 'bundle'), ['--addon', addon, '--no-archive', '--output', folder], { cwd: root });
}, 180_000);
afterAll(() => rmSync(parent, { recursive: true, force: true }));

/** Runs a command of the bundle as on a machine that has nothing: no environment, another working folder. */
function run(...args: string[]) {
  const env = { PATH: '/usr/bin:/bin' };
  return spawnSync(join(folder, 'run'), args, { cwd: parent, env, encoding: 'utf8' });
}

describe('a bundle', () => {
  it('says what it is and what it finds', () => {
    const { status, stdout } = run('info');
    expect(status).toBe(0);
    expect(stdout).toContain(`"node": "${process.version}"`);
    expect(stdout).toMatch(/"commit": "[0-9a-f]{40}/);
    expect(stdout).toMatch(/"glibc": "2\.\d+ or newer"/);
    expect(stdout).toMatch(/^cpu: .*\n {2}D = 512, fp32: cpu-/m);
  });

  it('has checksums that hold, and that notice a change', () => {
    expect(run('verify').status).toBe(0);
    const file = join(folder, 'peers', 'gpu_rates.py');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, `${text}#`);
    expect(run('verify').status).not.toBe(0);
    writeFileSync(file, text);
  });

  it('tests an engine', () => {
    const { status, stdout } = run(
      'test',
      'contract',
      'random',
      'trouble',
      'large',
      '--device',
      'cpu',
      '--count',
      '9',
      '--classes',
      '300',
    );
    expect(stdout).toMatch(/^ok {4} contract: CPU engine, portable: \d{3} passed, 0 skipped, 0 failed/m);
    expect(stdout).toMatch(/^ok {4} random shapes: 9 passed, 0 skipped, 0 failed/m);
    expect(stdout).toMatch(/^ok {4} trouble: \d+ passed, 0 skipped, 0 failed/m);
    expect(stdout).toMatch(/^ok {4} C·D > 2³¹ \(C = 300, D = 512\): \d passed, 0 skipped, 0 failed/m);
    expect(stdout.trim().endsWith('PASSED')).toBe(true);
    expect(status).toBe(0);
  });

  it('measures a step', () => {
    const { status, stdout } = run('bench', '--quick', '--device', 'cpu', '--case', 'capacity-20m');
    expect(status).toBe(0);
    expect(stdout).toMatch(/\| capacity-20m \| head cpu-/);
    expect(readFileSync(join(parent, 'gpu-records.jsonl'), 'utf8')).toMatch(/"commit":"[0-9a-f]{40}/);
  });

  it('runs a program of its user', () => {
    const program = join(parent, 'own.mjs');
    const library = join(folder, 'lib', 'kernels-cuda.mjs');
    writeFileSync(
      program,
      `import { ClassCenters } from ${JSON.stringify(library)};
       const centers = ClassCenters.create({ classes: 10, dim: 4, device: 'cpu' });
       console.log(centers.shape.join('x'));
       centers.dispose();`,
    );
    expect(run('node', program).stdout).toBe('10x1x4\n');
  });

  it('says what is missing on this machine', () => {
    const noDevice = run('test', '--device', 'cuda:77');
    expect([noDevice.status, noDevice.stderr]).toEqual([2, expect.stringMatching(/^cuda:77: E_DEVICE/)]);
    expect(run('test', 'nonsense').status).toBe(2);
    expect(run('nonsense')).toMatchObject({ status: 2, stderr: expect.stringMatching(/^usage: run COMMAND/) });
    const script = readFileSync(join(folder, 'run'), 'utf8').replace(/^wanted=.*$/m, "wanted='2.999'");
    writeFileSync(join(folder, 'run-later'), script, { mode: 0o755 });
    const old = spawnSync(join(folder, 'run-later'), ['info'], { encoding: 'utf8' });
    expect([old.status, old.stderr]).toEqual([
      2,
      expect.stringMatching(/expected glibc 2\.999 or newer, this machine has/),
    ]);
  });
});
