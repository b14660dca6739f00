// The tools that HyperArc needs on the machine, and the Debian packages that bring them.
import { spawnSync } from 'node:child_process';

/** @type {{name: string, command: string[], debian: string, for: string, testOnly?: boolean}[]} */
const TOOLS = [
  { name: 'g++', command: ['g++', '--version'], debian: 'g++', for: 'the native engine' },
  { name: 'make', command: ['make', '--version'], debian: 'make', for: 'the native engine' },
  { name: 'cmake', command: ['cmake', '--version'], debian: 'cmake', for: 'the native engine' },
  { name: 'python3', command: ['python3', '--version'], debian: 'python3', for: 'the TensorFlow set-up' },
  {
    name: 'python3 venv',
    command: ['python3', '-c', 'import ensurepip, venv'],
    debian: 'python3-venv',
    for: 'the TensorFlow set-up',
  },
  {
    name: 'GoogleTest',
    command: ['sh', '-c', 'test -f /usr/include/gtest/gtest.h || pkg-config --exists gtest'],
    debian: 'libgtest-dev',
    for: 'the native tests',
    testOnly: true,
  },
  {
    name: 'clang-format',
    command: ['clang-format', '--version'],
    debian: 'clang-format',
    for: 'the format check',
    testOnly: true,
  },
];

function works(command) {
  return spawnSync(command[0], command.slice(1), { stdio: 'ignore' }).status === 0;
}

/** Tools of the set that this machine lacks. */
export function missingTools(forTests) {
  return TOOLS.filter((tool) => (forTests || !tool.testOnly) && !works(tool.command));
}

/**
 * Installs the packages of the missing tools when this is root on a Debian-like machine; otherwise says what to run.
 * @returns {boolean} whether all tools are there now
 */
export function provideTools(forTests, log) {
  const missing = missingTools(forTests);
  if (missing.length === 0) return true;
  for (const tool of missing) log(`missing: ${tool.name} (for ${tool.for})`);
  const packages = missing.map((tool) => tool.debian);
  const mend = `apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  const isRoot = process.getuid?.() === 0;
  if (!isRoot || !works(['apt-get', '--version'])) {
    log(`install them, then run this again: ${isRoot ? '' : 'sudo '}${mend}`);
    return false;
  }
  log(`installing as root: ${mend}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { stdio: ['ignore', 'ignore', 'inherit'], env };
  spawnSync('apt-get', ['update', '-q'], options);
  spawnSync('sh', ['-c', mend], options);
  const left = missingTools(forTests);
  for (const tool of left) log(`still missing: ${tool.name} (Debian package ${tool.debian})`);
  return left.length === 0;
}
