import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Check } from './checks.js';

/** The C++ tests, built for the GPU (native/tests); bundles made from a finished addon have none. */
const PROGRAM = process.env['HYPERARC_NATIVE_TESTS'] ?? '';

/** Tests that run kernels of CUDA; all others are of the CPU engine, or of layouts and plans, which the host proves. */
const CUDA = /^Cuda|\/cuda|EngineShapes|Mma(Tails|Flush|Numbers|Test|Rules|Passes)|Hopper(Test|Engine|Passes|Tails)/;

/** Names as GoogleTest lists them: a suite a line, its tests indented below it, each perhaps with a comment. */
export function parseTestList(text: string): string[] {
  let suite = '';
  return text.split('\n').flatMap((line) => {
    const name = line.replace(/#.*/, '').trim();
    if (/^\s/.test(line)) return name === '' ? [] : [suite + name];
    if (name.endsWith('.')) suite = name;
    return [];
  });
}

/** Everything that one test said, and its exit code or signal. */
async function runTest(name: string): Promise<{ code: number | string | null; said: string }> {
  const child = spawn(PROGRAM, [`--gtest_filter=${name}`, '--gtest_color=no'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (said += text));
  }
  const code = await new Promise<number | string | null>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (status, signal) => resolve(status ?? signal));
  });
  return { code, said };
}

const MOST_CHARACTERS = 4000;

/**
 * Each kernel by itself against double precision, before whole steps: where a step is wrong, these say which part of it is. Every test
 * has a process of its own, since a kernel that fails spoils the device for its process.
 */
export function* nativeChecks(): Iterable<Check> {
  const group = 'C++ tests of single kernels';
  if (!existsSync(PROGRAM)) {
    const run = () => 'this bundle was made from a finished addon, without them';
    yield { group, subject: 'C++ tests', name: 'all of them', run };
    return;
  }
  const { stdout, status } = spawnSync(PROGRAM, ['--gtest_list_tests'], { encoding: 'utf8' });
  const names = parseTestList(stdout ?? '').filter((name) => CUDA.test(name) && !name.includes('DISABLED_'));
  if (status !== 0 || names.length === 0) {
    const run = () => {
      throw new Error(`${PROGRAM}: expected a list of tests, received ${names.length}; it ended with ${status}`);
    };
    yield { group, subject: 'C++ tests', name: 'all of them', run };
    return;
  }
  for (const name of names) {
    yield {
      group,
      subject: name.replace(/\.[^.]*$/, ''),
      name,
      run: async () => {
        const { code, said } = await runTest(name);
        if (code !== 0) throw new Error(`ended with ${code}: ${said.slice(-MOST_CHARACTERS)}`);
        if (/^\[ {2}SKIPPED \]/m.test(said)) return /Skipped\n(.+)/.exec(said)?.[1] ?? 'it skipped itself';
        if (!/^\[ {2}PASSED {2}\] 1 test/m.test(said)) throw new Error(`expected one test, received: ${said}`);
        return undefined;
      },
    };
  }
}
