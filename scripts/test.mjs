// `npm test` after set-up: every check of the repository, each once, with a summary. `node scripts/test.mjs NAME…` runs some.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const node = process.execPath;
const nx = join(root, 'node_modules', 'nx', 'dist', 'bin', 'nx.js');
const nxRun = (...args) => [node, nx, 'run-many', '--outputStyle=stream', ...args];

/** name → command; in the order from the quickest to the slowest. */
const CHECKS = {
  formatting: [node, join(root, 'node_modules', 'prettier', 'bin', 'prettier.cjs'), '--check', '--log-level=warn', '.'],
  lint: nxRun('-t', 'lint'),
  types: nxRun('-t', 'typecheck'),
  native: nxRun('-p', 'native', '-t', 'test'),
  'native-sanitizers': nxRun('-p', 'native', '-t', 'test-asan', 'test-tsan', '--parallel=1'),
  'cuda-compile': [node, join(root, 'scripts', 'native.mjs'), 'cuda-report'],
  'cuda-emulated': nxRun(
    '-p',
    'native,@hyperarc/kernels-cuda,@hyperarc/trainer',
    '-t',
    'test-emulated',
    'test:emulated',
    '--parallel=1',
  ),
  'cuda-emulated-asan': nxRun(
    '-p',
    'native,@hyperarc/kernels-cuda',
    '-t',
    'test-emulated-asan',
    'test:emulated-asan',
    '--parallel=1',
  ),
  packages: nxRun('-t', 'test', '--exclude=native,tests', '--parallel=1'),
  'consumer-and-examples': nxRun('-p', 'tests', '-t', 'test'),
};

const wanted = process.argv.slice(2);
for (const name of wanted) {
  if (!(name in CHECKS)) {
    console.error(`test: unknown check ${name}; there are: ${Object.keys(CHECKS).join(', ')}`);
    process.exit(2);
  }
}

const results = [];
for (const [name, [command, ...args]] of Object.entries(CHECKS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.log(`\n=== ${name}`);
  const start = Date.now();
  const env = { FORCE_COLOR: process.stdout.isTTY ? '1' : '0', ...process.env, NX_DAEMON: 'false', NX_TUI: 'false' };
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit', env });
  results.push({ name, passed: status === 0, seconds: (Date.now() - start) / 1000 });
}

console.log('\n=== summary');
for (const { name, passed, seconds } of results) {
  console.log(`${passed ? 'ok    ' : 'FAILED'} ${name} (${seconds.toFixed(1)} s)`);
}
const failed = results.filter((result) => !result.passed).length;
console.log(`${results.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
