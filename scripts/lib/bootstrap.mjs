// See scripts/bootstrap. Plain Node, no dependencies: it runs before `npm ci`.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { digestOf, isCurrent, writeStamp } from './stamp.mjs';
import { provideTools } from './tools.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const options = new Set(process.argv.slice(2));
const HELP = `usage: scripts/bootstrap [--tests] [--no-tensorflow] [--force]

  Makes this checkout ready to run: checks the machine's tools (as root it installs the missing Debian packages), npm
  packages, the native addon, the TypeScript packages, TensorFlow. What is done already is skipped.

  --tests          also what only the tests need (GoogleTest, clang-format)
  --no-tensorflow  leave TensorFlow out: backbones then train on the wasm backend, about 4 times slower
  --force          do every step again`;

const log = (line) => console.log(`bootstrap: ${line}`);
const KNOWN = ['--tests', '--no-tensorflow', '--force', '--help'];

function fail(line) {
  console.error(`bootstrap: ${line}`);
  process.exit(1);
}

function run(command, args, extra = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...extra } });
  if (result.error) fail(`${command}: ${result.error.message}`);
  if (result.status !== 0)
    fail(`${command} ${args.join(' ')} ended with ${result.signal ?? `exit code ${result.status}`}`);
}

/** Variables that choose what is built. */
const environment = Object.fromEntries(
  ['CXX', 'CUDACXX', 'HYPERARC_CUDA', 'HYPERARC_CUDA_ARCHITECTURES'].map((name) => [name, process.env[name]]),
);

/** Runs `make` unless the stamp says that nothing it depends on has changed. */
function step(name, { paths, facts = {}, outputs }, make) {
  const stampFile = join(root, 'node_modules', '.hyperarc', name);
  const digest = digestOf(
    paths.map((path) => join(root, path)),
    { node: process.version, arch: process.arch, ...environment, ...facts },
  );
  if (
    !options.has('--force') &&
    isCurrent(
      stampFile,
      digest,
      outputs.map((path) => join(root, path)),
    )
  ) {
    return;
  }
  const start = Date.now();
  make();
  writeStamp(stampFile, digest);
  log(`${name} done in ${((Date.now() - start) / 1000).toFixed(1)} s`);
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    fail(`Node ${process.version}: expected 20.19 or newer; install it from https://nodejs.org or with nvm`);
  }
  if (process.platform !== 'linux') {
    log(`${process.platform} is not tested: the engine is built and proven on Linux`);
  }
}

function sourcePaths() {
  const packages = ['kernels-cuda', 'heads', 'trainer', 'bench'];
  return packages.flatMap((name) => [
    `packages/${name}/src`,
    `packages/${name}/package.json`,
    `packages/${name}/tsconfig.json`,
  ]);
}

if (options.has('--help')) {
  console.log(HELP);
  process.exit(0);
}
for (const option of options) if (!KNOWN.includes(option)) fail(`unknown option ${option}\n${HELP}`);

checkNode();
if (!provideTools(options.has('--tests'), log)) process.exit(1);

step('npm packages', { paths: ['package-lock.json', '.npmrc'], outputs: ['node_modules/.package-lock.json'] }, () =>
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']),
);

step(
  'native addon',
  {
    paths: [
      'native/CMakeLists.txt',
      'native/cmake',
      'native/package.json',
      'native/include',
      'native/src',
      'native/addon',
      'scripts/native.mjs',
      'scripts/lib/addon.mjs',
    ],
    outputs: ['native/build/Release/hyperarc.node'],
  },
  () => {
    const isLeftOut = process.env.HYPERARC_CUDA === 'OFF';
    const nvcc = spawnSync('nvcc', ['--version'], { stdio: 'ignore' }).status === 0;
    log(
      nvcc && !isLeftOut
        ? 'building the native addon with its CUDA kernels: some minutes'
        : `building the native addon without CUDA (${isLeftOut ? 'HYPERARC_CUDA is OFF' : 'no nvcc on the PATH'}): the CPU engine only`,
    );
    run(process.execPath, [join(root, 'scripts', 'native.mjs'), 'addon']);
  },
);

step(
  'TypeScript packages',
  {
    paths: ['tsconfig.base.json', 'tsconfig.json', ...sourcePaths()],
    outputs: ['packages/kernels-cuda/dist/index.js', 'packages/trainer/dist/index.js', 'packages/bench/dist/main.js'],
  },
  () => run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b']),
);

if (!options.has('--no-tensorflow')) {
  const script = join(root, 'scripts', 'setup-tensorflow');
  if (!existsSync(script)) fail('scripts/setup-tensorflow is missing from this checkout');
  run(process.execPath, [script, ...(options.has('--force') ? ['--force'] : [])]);
}
