// Builds native/'s addon with cmake-js.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

/** Runs a command; what it says is shown only when it failed or warned. */
function runQuietly(command, args, cwd) {
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 });
  if (result.error) throw result.error;
  const said = result.stdout + result.stderr;
  // nvcc writes "warning #177-D:", ptxas "warning :".
  if (result.status !== 0 || /\bwarning[^\n:]*:/.test(said)) process.stderr.write(said);
  if (result.status !== 0) {
    console.error(`native: ${command} ${args.join(' ')} ended with ${result.signal ?? result.status}`);
    process.exit(1);
  }
  return said;
}

/** HYPERARC_CUDA: AUTO (with nvcc where there is one), ON, OFF. CMake remembers options, so that a build gives each anew. */
export const CUDA_OPTIONS = {
  HYPERARC_CUDA: process.env.HYPERARC_CUDA || 'AUTO',
  HYPERARC_CUDA_ARCHITECTURES: process.env.HYPERARC_CUDA_ARCHITECTURES || 'default',
};

/**
 * @param {string} root  the checkout
 * @param {string} [folder]  build folder in native/
 * @param {Record<string, string>} [cmakeOptions]
 * @returns {string} path of hyperarc.node
 */
export function buildAddon(root, folder = 'build', cmakeOptions = CUDA_OPTIONS) {
  const native = join(root, 'native');
  const build = join(native, folder);
  const cmakeJs = join(root, 'node_modules', 'cmake-js', 'bin', 'cmake-js');
  const options = Object.entries(cmakeOptions).map(([name, value]) => `${name}=${value}`);
  // cmake-js gives options only to a folder that was never configured.
  const isConfigured = existsSync(join(build, 'CMakeCache.txt'));
  const changed = isConfigured
    ? runQuietly('cmake', ['-S', native, '-B', build, ...options.map((option) => `-D${option}`)], root)
    : '';
  const flags = ['-d', native, '-O', build, '-p', String(availableParallelism()), '-l', 'warn'];
  const given = options.map((option) => `--CD${option}`);
  const said = changed + runQuietly(process.execPath, [cmakeJs, 'compile', ...flags, ...given], root);
  // CMake's own line on CUDA is the one a reader needs.
  console.log(/HyperArc: .*/.exec(said)?.[0] ?? 'HyperArc: the addon is up to date');
  return join(build, 'Release', 'hyperarc.node');
}
