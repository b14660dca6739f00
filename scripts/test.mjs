// `npm test` after set-up: every check of the repository, each once, with a summary. `node scripts/test.mjs NAME…` runs some.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { failureCollector } from './lib/failures.mjs';

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
  'cuda-ptx': [node, join(root, 'scripts', 'native.mjs'), 'cuda-ptx'],
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

/** Runs a check, passes on what it prints, and gives whether it passed, with the lines that name what failed. */
async function run([command, ...args]) {
  const env = { FORCE_COLOR: process.stdout.isTTY ? '1' : '0', ...process.env, NX_DAEMON: 'false', NX_TUI: 'false' };
  const child = spawn(command, args, { cwd: root, stdio: ['inherit', 'pipe', 'pipe'], env });
  const failures = failureCollector();
  const watch = (from, to) => {
    from.pipe(to, { end: false });
    return once(createInterface({ input: from }).on('line', failures.look), 'close');
  };
  const read = [watch(child.stdout, process.stdout), watch(child.stderr, process.stderr)];
  const [status] = await once(child, 'close');
  await Promise.all(read);
  return { passed: status === 0, failures: status === 0 ? [] : failures.found() };
}

const results = [];
for (const [name, command] of Object.entries(CHECKS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.log(`\n=== ${name}`);
  const start = Date.now();
  results.push({ name, ...(await run(command)), seconds: (Date.now() - start) / 1000 });
}

console.log('\n=== summary');
for (const { name, passed, failures, seconds } of results) {
  console.log(`${passed ? 'ok    ' : 'FAILED'} ${name} (${seconds.toFixed(1)} s)`);
  for (const line of failures) console.log(`         ${line}`);
}
const failed = results.filter((result) => !result.passed).length;
console.log(`${results.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
