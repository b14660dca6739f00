// The tools that HyperArc needs on the machine, and the Debian packages that bring them.
import { spawnSync } from 'node:child_process';

/**
 * What only the tests need is testOnly. An optional tool is installed where that works; without it the rest goes on.
 * @type {{name: string, command: string[], debian: string, for: string, testOnly?: boolean, optional?: boolean}[]}
 */
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
  {
    name: 'Chromium',
    // The names that packages/heads/test/browser/chromium.ts looks for.
    command: [
      'sh',
      '-c',
      'for browser in "$HYPERARC_CHROMIUM" chromium chromium-browser google-chrome google-chrome-stable; do ' +
        'test -z "$browser" || ! "$browser" --version || exit 0; done; exit 1',
    ],
    debian: 'chromium',
    for: 'the browser test, which is skipped without it except where CI is set',
    testOnly: true,
    optional: true,
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
 * @returns {boolean} whether all tools are there now but the optional ones
 */
export function provideTools(forTests, log) {
  const missing = missingTools(forTests);
  if (missing.length === 0) return true;
  for (const tool of missing) log(`missing: ${tool.name} (for ${tool.for})`);
  const areNeeded = missing.some((tool) => !tool.optional);
  // Apart: where the system has no such package, apt-get would install nothing of the whole list.
  const groups = [missing.filter((tool) => !tool.optional), missing.filter((tool) => tool.optional)];
  const commands = groups
    .filter((tools) => tools.length > 0)
    .map((tools) => `apt-get install -y --no-install-recommends ${tools.map((tool) => tool.debian).join(' ')}`);
  const isRoot = process.getuid?.() === 0;
  if (!isRoot || !works(['apt-get', '--version'])) {
    for (const command of commands) {
      log(
        `install ${areNeeded ? 'them, then run this again' : 'it where you can'}: ${isRoot ? '' : 'sudo '}${command}`,
      );
    }
    return !areNeeded;
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { stdio: ['ignore', 'ignore', 'inherit'], env };
  spawnSync('apt-get', ['update', '-q'], options);
  for (const command of commands) {
    log(`installing as root: ${command}`);
    spawnSync('sh', ['-c', command], options);
  }
  const left = missingTools(forTests);
  for (const tool of left) log(`still missing: ${tool.name} (Debian package ${tool.debian})`);
  return left.every((tool) => tool.optional);
}
