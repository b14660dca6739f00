import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

interface Line {
  group?: string;
  name?: string;
  status?: string;
  reason?: string;
  ended?: unknown;
}

const readLines = (file: string) =>
  readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

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

  it('runs each C++ test of a CUDA kernel in a process of its own', () => {
    const program = join(parent, 'native');
    const list = [
      'Running main() from gtest_main.cc',
      'CudaRows.',
      '  Right',
      '  Wrong',
      '  Absent',
      'ThreadPool.',
      '  Other',
      'Sizes/MmaNumbers.',
      '  Tile/0  # GetParam() = 3',
    ];
    const script = `#!/bin/sh
      case $1 in
        --gtest_list_tests) cat <<'END'
${list.join('\n')}
END
        ;;
        *CudaRows.Right | *Sizes/MmaNumbers.Tile/0) echo '[  PASSED  ] 1 test.' ;;
        *Wrong) echo 'expected 1, received 2'; exit 1 ;;
        *Absent) printf 'rows.cc:3: Skipped\nno CUDA device\n[  SKIPPED ] CudaRows.Absent (0 ms)\n' ;;
      esac`;
    writeFileSync(program, script, { mode: 0o755 });
    const args = ['test', 'kernels', '--device', 'cpu', '--jobs', '2', '--output', join(parent, 'native.jsonl')];
    const env = { PATH: '/usr/bin:/bin', HYPERARC_NATIVE_TESTS: program };
    const { status, stdout } = spawnSync(join(folder, 'run'), args, { cwd: parent, env, encoding: 'utf8' });
    expect(stdout).toMatch(
      /FAILED C\+\+ tests of single kernels: CudaRows\.Wrong\n {4}ended with 1: expected 1, received 2/,
    );
    expect(stdout).toMatch(/^FAILED C\+\+ tests of single kernels: 2 passed, 1 skipped \(no CUDA device\), 1 failed/m);
    expect(status).toBe(1);
    // This bundle's addon was given to it.
    const without = run('test', 'kernels', '--device', 'cpu');
    expect(without.stdout).toMatch(/0 passed, 1 skipped \(this bundle was made from a finished addon, without them\)/);
  });

  it('tests in several processes as in one, with a record of each check', () => {
    const recordsWith = (jobs: string) => {
      const output = join(parent, `tests-${jobs}.jsonl`);
      const sizes = ['--device', 'cpu', '--count', '24', '--classes', '300', '--jobs', jobs, '--output', output];
      const { status, stdout } = run('test', 'random', 'trouble', 'large', ...sizes);
      expect([status, stdout.match(/^\d+ passed, 0 skipped, 0 failed in \d+ s$/m)]).toEqual([0, expect.anything()]);
      const [header, ...lines] = readLines(output);
      expect(header).toMatchObject({ format: 'hyperarc-gpu-tests-1', device: 'cpu', jobs: Number(jobs) });
      expect(lines.at(-1)).toMatchObject({ ended: 'passed' });
      return lines.flatMap(({ group, name, status: how }) => (name === undefined ? [] : [`${group}: ${name}: ${how}`]));
    };
    const alone = recordsWith('1');
    expect(new Set(recordsWith('3'))).toEqual(new Set(alone));
    expect(alone.length).toBe(new Set(alone).size);
  });

  it('keeps what it proved before its time was over, and does not pass', () => {
    const output = join(parent, 'cut.jsonl');
    const options = ['--device', 'cpu', '--count', '10000', '--seconds', '12', '--output', output];
    const { status, stdout } = run('test', 'random', ...options);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^UNDONE random shapes: \d+ passed, 0 skipped, 0 failed, \d+ not run \(no time left\)/m);
    expect(stdout).toMatch(/^UNFINISHED: \d+ not run$/m);
    expect(readLines(output).some(({ status: how }) => how === 'passed')).toBe(true);
  });

  describe('with a program in the place of compute-sanitizer', () => {
    const finds = (tool: string) => `if [ $2 = ${tool} ]; then echo '========= Invalid __global__ read of size 4'; fi`;
    /** `script` has the checks' command in "$@", and the tool in $tool. */
    function sanitize(script: string, ...options: string[]) {
      const tool = join(parent, 'compute-sanitizer');
      writeFileSync(tool, `#!/bin/sh\ntool=$2\n${script}\n`, { mode: 0o755 });
      const output = join(parent, 'sanitize.jsonl');
      const env = { PATH: `${parent}:/usr/bin:/bin` };
      const args = ['sanitize', '--device', 'cpu', '--seconds', '8', '--output', output, ...options];
      return spawnSync(join(folder, 'run'), args, { cwd: parent, env, encoding: 'utf8' });
    }

    it('runs the checks under each tool that is named', () => {
      const tool = join(parent, 'compute-sanitizer');
      writeFileSync(tool, '#!/bin/sh\necho "========= $2"; shift 4; exec "$@"\n', { mode: 0o755 });
      const tools = ['--sanitizer', tool, '--tool', 'memcheck', '--tool', 'synccheck'];
      const { status, stdout } = run('test', 'random', '--count', '6', '--device', 'cpu', ...tools);
      expect(stdout).toContain('  memcheck: ========= memcheck');
      expect(stdout).toContain('  synccheck: ========= synccheck');
      expect(stdout).toMatch(/^ok {4} memcheck: random shapes: 6 passed, 0 skipped, 0 failed/m);
      expect(stdout).toMatch(/^ok {4} synccheck: random shapes: 6 passed, 0 skipped, 0 failed/m);
      expect(stdout).not.toContain('racecheck');
      expect(status).toBe(0);
    });

    it('fails where a tool finds something, also when it is ended before it could say so by its exit code', () => {
      const { status, stdout } = sanitize(`${finds('racecheck')}; shift 4; exec "$@"`, 'racecheck', 'synccheck');
      expect(status).toBe(1);
      expect(stdout).toMatch(/^FAILED racecheck: \d findings, the first: Invalid __global__ read of size 4$/m);
      expect(stdout).not.toMatch(/FAILED synccheck/);
      expect(stdout).toMatch(/^FAILED/m);
    });

    it('fails where a tool cannot begin', () => {
      const { status, stdout } = sanitize('echo "Device not supported"; exit 1', 'memcheck');
      expect(status).toBe(1);
      expect(stdout).toContain('  memcheck: Device not supported');
      expect(stdout).toContain('FAILED memcheck: could not begin: ended with 1');
      expect(stdout).toMatch(/0 passed, 0 skipped, 0 failed, [1-9]\d+ not run/);
    });
  });

  it('fails checks that end their process or hang, and goes on after them', () => {
    // The first two processes say that they begin, and how their first check went; then one dies, and the other hangs.
    const tool = join(parent, 'breaking');
    const script = `#!/bin/sh
      n=$(cat count); echo $((n + 1)) > count; shift 4
      case $n in
        0) "$@" | head -n 2; kill -9 $$ ;;
        1) "$@" | head -n 2; exec sleep 100 ;;
        *) exec "$@" ;;
      esac`;
    writeFileSync(tool, script, { mode: 0o755 });
    writeFileSync(join(parent, 'count'), '0');
    const output = join(parent, 'broken.jsonl');
    const options = ['--device', 'cpu', '--count', '6', '--jobs', '1', '--patience', '10', '--output', output];
    const { status, stdout } = run('test', 'random', ...options, '--sanitizer', tool, '--tool', 'memcheck');
    expect(status).toBe(1);
    const outcomes = readLines(output).flatMap(({ status: how, reason }) => (how === undefined ? [] : [reason ?? how]));
    expect(outcomes).toEqual([
      'passed',
      'its process ended with SIGKILL',
      'passed',
      'expected an answer within 10 s, received none; its process was ended',
      'passed',
      'passed',
    ]);
    expect(stdout).toMatch(/^FAILED memcheck: random shapes: 4 passed, 0 skipped, 2 failed/m);
  });

  it('runs all of it within a time, goes on after what failed, and leaves a summary', () => {
    const output = join(parent, 'all');
    const sizes = ['--count', '6', '--classes', '300', '--quick'];
    const { status, stdout } = run('all', '--device', 'cpu', '--minutes', '0.5', ...sizes, '--output', output);
    expect(status).toBe(1);
    const summary = readFileSync(join(output, 'summary.md'), 'utf8');
    expect(stdout).toContain(summary);
    expect(summary).toMatch(/^- info: passed in/m);
    // There is no compute-sanitizer.
    expect(summary).toMatch(/^- sanitize: FAILED \(2\)/m);
    expect(summary).toMatch(/^\| contract suite, every precision and kernel family \| [1-9]\d* passed/m);
    expect(summary).toMatch(/^\| B = 128, C = 1M \| /m);
    expect(readFileSync(join(output, 'all.log'), 'utf8')).toMatch(/^=== bench of 10M classes and more: run bench/m);
    expect(existsSync(join(output, 'bench.jsonl'))).toBe(true);
  });

  it('has something to show when it is ended in the middle', async () => {
    const output = join(parent, 'ended');
    const args = ['all', '--device', 'cpu', '--quick', '--output', output];
    const child = spawn(join(folder, 'run'), args, { cwd: parent, env: { PATH: '/usr/bin:/bin' } });
    let said = '';
    child.stdout.on('data', (text: Buffer) => (said += text.toString()));
    const end = new Promise((resolve) => child.on('close', resolve));
    const hasPassed = () =>
      existsSync(join(output, 'tests.jsonl')) && readFileSync(join(output, 'tests.jsonl'), 'utf8').includes('"passed"');
    while (!hasPassed()) await new Promise((resolve) => setTimeout(resolve, 100));
    child.kill('SIGTERM');
    expect(await end).toBe(130);
    expect(said).toContain('ended by SIGTERM');
    const summary = readFileSync(join(output, 'summary.md'), 'utf8');
    expect(summary).toMatch(/^\| contract suite.* \| [1-9]\d* passed.*; the run was cut off \|$/m);
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
