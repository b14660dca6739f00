/**
 * The CUDA engine's tests in the host harness: `npm run test:emulated -w packages/kernels-cuda`, after `node scripts/native.mjs emulated-addon`.
 * HYPERARC_ADDON names another build. `test:emulated-asan`, after `emulated-asan-addon`: the contract and the engine's failures in a build with
 * AddressSanitizer, and UBSan in all but the addon's own files; `-- -t .` adds the slowest size.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const built = (folder: string) =>
  fileURLToPath(new URL(`../../native/${folder}/Release/hyperarc.node`, import.meta.url));
const CUDA = ['test/cuda/**/*.test.ts'];
const OTHERS = [
  'test/binding/{adamw,bad-input,file,hostile,margin,memory,operations,states,workers}.test.ts',
  'test/ops/margin-softmax.test.ts',
];

/** One case, of 20,011 classes, takes as long as a hundred others in a sanitized build. `-t` on the command line takes this one's place. */
const NOT_THE_LARGEST = '^(?!.*, C 20011,)';

/** The processes that vitest starts inherit these: the sanitizer's runtime must come first in each, and Node itself leaks. */
function useAddressSanitizer() {
  const compiler = process.env['CXX'] || 'g++';
  process.env['LD_PRELOAD'] = execFileSync(compiler, ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim();
  process.env['ASAN_OPTIONS'] = 'detect_leaks=0:strict_string_checks=1';
  process.env['UBSAN_OPTIONS'] = 'halt_on_error=1:print_stacktrace=1';
}

export default defineConfig(({ mode }) => {
  const sanitized = mode === 'asan';
  if (sanitized) useAddressSanitizer();
  return {
    test: {
      include: sanitized ? CUDA : [...CUDA, ...OTHERS],
      ...(sanitized && { testNamePattern: NOT_THE_LARGEST }),
      pool: 'forks',
      maxWorkers: 2,
      env: {
        FORCE_COLOR: '0',
        HYPERARC_ADDON: process.env['HYPERARC_ADDON'] ?? built(sanitized ? 'build-emulated-asan' : 'build-emulated'),
        HYPERARC_REQUIRE_CUDA: '1',
        HYPERARC_TEST_DEVICE: 'cuda:0',
      },
      testTimeout: 120_000,
      hookTimeout: 120_000,
    },
  };
});
