// Builds and tests native/: `node scripts/native.mjs addon | test | asan | tsan | emulated | emulated-asan | emulated-addon |
// emulated-asan-addon | cuda-report [--write] | cuda-ptx [--all] | format [--write]`.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildAddon } from './lib/addon.mjs';
import { allKernels, compilerOf, writeAllPtx } from './lib/cuda-ptx.mjs';
import { cudaReport } from './lib/cuda-report.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const native = join(root, 'native');
const jobs = String(availableParallelism());

const [TESTS, HARNESS_TESTS] = ['hyperarc_tests', 'hyperarc_emulator_tests'];
/** Where a build has its programs. */
const PROGRAMS = { [TESTS]: join('tests', TESTS), [HARNESS_TESTS]: join('tests', 'emulator', 'tests', HARNESS_TESTS) };

function run(command, args, env = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });
  if (result.error) throw result.error;
  if (result.status !== 0) {
    console.error(`native: ${command} ${args.join(' ')} ended with ${result.signal ?? result.status}`);
    process.exit(1);
  }
}

/** Without CUDA, whose kernels nvcc alone compiles and no sanitizer of the host can watch. */
function threadSanitizer() {
  const build = join(native, 'build-tsan');
  const options = ['-DHYPERARC_BUILD_TESTS=ON', '-DHYPERARC_CUDA=OFF', '-DHYPERARC_SANITIZE=thread'];
  run('cmake', ['-S', native, '-B', build, ...options]);
  run('cmake', ['--build', build, '-j', jobs]);
  runTests(build, TESTS, { TSAN_OPTIONS: 'halt_on_error=1' });
}

/**
 * Runs tests of a program of `build`, `jobs` of its shares at once (native/tests/CMakeLists.txt).
 * @param filter GoogleTest's: patterns with `:` between them, and after `-` those of tests to leave out
 */
function runTests(build, program, env, filter = '*') {
  const tests = { ...env, GTEST_FILTER: filter };
  const listed = spawnSync(join(build, PROGRAMS[program]), ['--gtest_list_tests'], {
    env: { ...process.env, ...tests },
    encoding: 'utf8',
  });
  const count = (listed.stdout ?? '').split('\n').filter((line) => line.startsWith('  ')).length;
  if (count === 0) {
    console.error(`native: ${program} has no test ${filter}\n${listed.stderr ?? ''}`);
    process.exit(1);
  }
  const settings = Object.entries(env).filter(([name]) => name.startsWith('HYPERARC_'));
  console.log(`native: ${count} tests of ${program} ${settings.map(([name, value]) => `${name}=${value}`).join(' ')}`);
  run('ctest', ['--test-dir', build, '--output-on-failure', '-j', jobs, '-R', `^${program}-`], tests);
}

/**
 * One build for all that runs on the host: both engines, the CUDA one for the harness (docs/testing-cuda.md), the C++ tests, and the
 * addon for the tests in TypeScript.
 */
function buildForHost(folder, options = {}) {
  buildAddon(root, folder, { HYPERARC_EMULATED: 'ON', HYPERARC_BUILD_TESTS: 'ON', ...options });
  return join(native, folder);
}

const buildPlain = () => buildForHost('build-emulated');
const buildSanitized = () => buildForHost('build-emulated-asan', { HYPERARC_SANITIZE: 'address,undefined' });
const SANITIZED = {
  ASAN_OPTIONS: 'detect_leaks=1:strict_string_checks=1',
  UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
};

const HOPPER = '*HopperPasses*:*HopperTails*:*HopperTest*:*HopperEngine*';
/** Tests of the CUDA engine, some of which take the CPU's in turn. */
const CUDA = `*Cuda*:*cuda*:*EngineShapes*:*Mma*:*KernelTable*:${HOPPER}`;
/** Of those the ones that launch no kernel. */
const WITHOUT_KERNELS = '*Layout*:*Plan*:*Table*';

/** All other C++ tests: of the CPU engine, and of what both engines share. */
function hostTests(build, env = {}) {
  runTests(build, TESTS, env, `-${CUDA}`);
}

/**
 * The harness's tests, and every C++ test of the CUDA engine; these again for each seed, by which threads, copies and streams take turns
 * in another order.
 */
function emulatedTests(build, seeds, env = {}) {
  runTests(build, HARNESS_TESTS, env);
  runTests(build, TESTS, env, CUDA);
  for (const seed of seeds) {
    runTests(build, TESTS, { ...env, HYPERARC_EMULATED_SCHEDULE: seed }, `${CUDA}-${WITHOUT_KERNELS}`);
  }
}

/** Of those the ones that run every kernel on the compiled PTX in minutes; the others are the same kernels on more shapes. */
const CUDA_ON_PTX =
  `${HOPPER}:*Mma*:*CudaRows*:*CudaSampler*:*CudaCosines*:*CudaTargetTerms*:*CudaFindNonFinite*:*CudaFinishForward*:*CudaFewTerms*:` +
  '*CudaPlain*DenseGradient*:*CudaPlain*Bf16Operands*:*CudaPlain*NegativeRules*:*Dimensions*EngineShapes*:*AdamW*';

/** C++ tests of the CUDA engine with every kernel run from its PTX: what nvcc made of it (docs/testing-cuda.md). */
function ptxTests(all) {
  buildAddon(root);
  const product = join(native, 'build');
  if (compilerOf(product) === undefined) {
    console.log('cuda-ptx: SKIPPED: the addon was built without nvcc, which makes the PTX');
    return;
  }
  const build = buildPlain();
  const folder = join(build, 'ptx');
  const missing = writeAllPtx(native, product, '90a', folder);
  if (missing.length > 0) {
    console.log(`cuda-ptx: SKIPPED: the addon was built without sm_90a, thus without ${missing.join(', ')}`);
    return;
  }
  const launched = join(folder, 'launched');
  const env = { HYPERARC_EMULATED_PTX: folder, HYPERARC_EMULATED_PTX_LAUNCHED: launched };
  runTests(build, TESTS, env, `${all ? CUDA : CUDA_ON_PTX}-${WITHOUT_KERNELS}`);
  const ran = new Set(readFileSync(launched, 'utf8').split('\n'));
  const kernels = allKernels(folder);
  const idle = kernels.filter((kernel) => !ran.has(kernel));
  for (const kernel of idle) console.error(`cuda-ptx: no test launched ${kernel}`);
  console.log(`cuda-ptx: ${kernels.length - idle.length} of ${kernels.length} kernels ran from their PTX`);
  if (idle.length > 0) process.exit(1);
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
    hostTests(buildPlain());
    break;
  case 'asan':
    hostTests(buildSanitized(), SANITIZED);
    break;
  case 'tsan':
    threadSanitizer();
    break;
  case 'emulated':
    emulatedTests(buildPlain(), ['1']);
    break;
  case 'emulated-asan':
    emulatedTests(buildSanitized(), [], SANITIZED);
    break;
  case 'emulated-addon':
    buildPlain();
    break;
  case 'emulated-asan-addon':
    buildSanitized();
    break;
  case 'cuda-report':
    buildAddon(root);
    if (!cudaReport(root, join(native, 'build'), process.argv.includes('--write'))) process.exit(1);
    break;
  case 'cuda-ptx':
    ptxTests(process.argv.includes('--all'));
    break;
  case 'format':
    format(process.argv.includes('--write'));
    break;
  default:
    console.error(
      'usage: node scripts/native.mjs addon | test | asan | tsan | emulated | emulated-asan | emulated-addon |' +
        ' emulated-asan-addon | cuda-report [--write] | cuda-ptx [--all] | format [--write]',
    );
    process.exit(2);
}
