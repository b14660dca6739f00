// Builds and tests native/: `node scripts/native.mjs addon | test | asan | tsan | emulated | emulated-asan | emulated-addon |
// emulated-asan-addon | cuda-report [--write] | format [--write]`.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildAddon } from './lib/addon.mjs';
import { cudaReport } from './lib/cuda-report.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const native = join(root, 'native');
const jobs = String(availableParallelism());

function run(command, args, env = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });
  if (result.error) throw result.error;
  if (result.status !== 0) {
    console.error(`native: ${command} ${args.join(' ')} ended with ${result.signal ?? result.status}`);
    process.exit(1);
  }
}

/** The C++ tests run on the host, so nvcc's work is left to the addon: HYPERARC_CUDA is OFF. */
function ctest(folder, options, env = {}) {
  const build = join(native, folder);
  run('cmake', ['-S', native, '-B', build, '-DHYPERARC_BUILD_TESTS=ON', '-DHYPERARC_CUDA=OFF', ...options]);
  run('cmake', ['--build', build, '-j', jobs]);
  runTests(build, env);
}

function runTests(build, env, filter = []) {
  run('ctest', ['--test-dir', build, '--output-on-failure', '--no-tests=error', '-j', jobs, ...filter], env);
}

const SANITIZED = {
  options: ['-DCMAKE_BUILD_TYPE=RelWithDebInfo', '-DHYPERARC_SANITIZE=address,undefined'],
  env: {
    ASAN_OPTIONS: 'detect_leaks=1:strict_string_checks=1',
    UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
  },
};

/**
 * The CUDA engine in the host harness (docs/testing-cuda.md): the harness's tests, and every C++ test of the engine; these
 * again for each seed, by which threads, copies and streams take turns in another order.
 */
function emulated(folder, options, seeds, env = {}) {
  const build = join(native, folder);
  run('cmake', ['-S', native, '-B', build, '-DHYPERARC_BUILD_TESTS=ON', '-DHYPERARC_EMULATED=ON', ...options]);
  run('cmake', ['--build', build, '-j', jobs]);
  const engine = '[Cc]uda|EngineShapes|Mma|Hopper(Passes|Tails|Test|Engine)|KernelTable';
  runTests(build, env, ['-R', `^Emulator|${engine}`]);
  for (const seed of seeds) {
    const filter = ['-R', engine, '-E', '^Emulator|Layout|Plan|Table'];
    runTests(build, { ...env, HYPERARC_EMULATED_SCHEDULE: seed }, filter);
  }
}

function sources(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(h|hpp|cc|cpp|cu|cuh)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}

function format(write) {
  const files = ['include', 'src', 'addon', 'tests', 'lab'].flatMap((name) => sources(join(native, name)));
  run('clang-format', [...(write ? ['-i'] : ['--dry-run', '--Werror']), ...files]);
  console.log(`native: clang-format ${write ? 'wrote' : 'checked'} ${files.length} files`);
}

const task = process.argv[2];
switch (task) {
  case 'addon':
    buildAddon(root);
    break;
  case 'test':
    ctest('build-tests', ['-DCMAKE_BUILD_TYPE=Release']);
    break;
  case 'asan':
    ctest('build-asan', SANITIZED.options, SANITIZED.env);
    break;
  case 'tsan':
    ctest('build-tsan', ['-DCMAKE_BUILD_TYPE=RelWithDebInfo', '-DHYPERARC_SANITIZE=thread'], {
      TSAN_OPTIONS: 'halt_on_error=1',
    });
    break;
  case 'emulated':
    emulated('build-emulated-tests', ['-DCMAKE_BUILD_TYPE=Release'], ['1']);
    break;
  case 'emulated-asan':
    emulated('build-emulated-tests-asan', SANITIZED.options, [], SANITIZED.env);
    break;
  case 'emulated-addon':
    buildAddon(root, 'build-emulated', { HYPERARC_EMULATED: 'ON' });
    break;
  case 'emulated-asan-addon':
    // -O1: half the time of -O2 to compile.
    buildAddon(root, 'build-emulated-asan', {
      HYPERARC_EMULATED: 'ON',
      HYPERARC_SANITIZE: 'address,undefined',
      CMAKE_CXX_FLAGS_RELEASE: '-O1',
    });
    break;
  case 'cuda-report':
    buildAddon(root);
    if (!cudaReport(root, join(native, 'build'), process.argv.includes('--write'))) process.exit(1);
    break;
  case 'format':
    format(process.argv.includes('--write'));
    break;
  default:
    console.error(
      'usage: node scripts/native.mjs addon | test | asan | tsan | emulated | emulated-asan | emulated-addon |' +
        ' emulated-asan-addon | cuda-report [--write] | format [--write]',
    );
    process.exit(2);
}
