// What this machine offers to the TensorFlow set-up, gathered once so that the choice itself (choose.mjs) is a pure function.
import { accessSync, constants, existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';

const require = createRequire(import.meta.url);
const inRepository = existsSync(new URL('../../../scripts/setup-tensorflow', import.meta.url));

/** The command that runs this set-up: in HyperArc's repository, or where @hyperarc/trainer is installed. */
export const SETUP_COMMAND = inRepository ? 'scripts/setup-tensorflow' : 'npx hyperarc-setup-tensorflow';

/** First executable of that name on PATH, or undefined. */
export function which(name, path = process.env.PATH ?? '') {
  for (const folder of path.split(delimiter)) {
    if (!folder) continue;
    const candidate = join(folder, name);
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/** HyperArc's cache: HYPERARC_CACHE, else $XDG_CACHE_HOME/hyperarc, else ~/.cache/hyperarc. */
export function cacheRoot(env = process.env) {
  if (env.HYPERARC_CACHE) return resolve(env.HYPERARC_CACHE);
  return join(env.XDG_CACHE_HOME ? resolve(env.XDG_CACHE_HOME) : join(env.HOME ?? homedir(), '.cache'), 'hyperarc');
}

/** Newest interpreter first is not needed: only pip is used, and it can fetch for another Python than its own. */
const PYTHON_NAMES = ['python3', 'python3.13', 'python3.12', 'python3.11', 'python3.10', 'python'];

/**
 * @returns {{platform: string, arch: string, nodeAbi: string, nodeVersion: string, cache: string, python?: string,
 *   compiler?: string, tar?: string, tfjs?: {folder: string, version: string}, nvidiaGpu: boolean, libtensorflow?: string, archiveUrl?: string}}
 */
export function readEnvironment(env = process.env) {
  const path = env.PATH ?? '';
  return {
    tfjs: findTfjs(),
    platform: process.platform,
    arch: process.arch,
    nodeAbi: process.versions.modules,
    nodeVersion: process.versions.node,
    cache: join(cacheRoot(env), 'tensorflow'),
    python: env.HYPERARC_PYTHON || PYTHON_NAMES.map((name) => which(name, path)).find(Boolean),
    compiler: env.CXX || which('g++', path) || which('clang++', path),
    tar: which('tar', path),
    nvidiaGpu: existsSync('/proc/driver/nvidia/version') || which('nvidia-smi', path) !== undefined,
    libtensorflow: env.HYPERARC_LIBTENSORFLOW || undefined,
    archiveUrl: env.HYPERARC_LIBTENSORFLOW_URL || undefined,
  };
}

/** Folder and version of the installed @tensorflow/tfjs-node-gpu; undefined when it is not installed. */
function findTfjs() {
  let manifestPath;
  try {
    manifestPath = require.resolve('@tensorflow/tfjs-node-gpu/package.json');
  } catch {
    return undefined;
  }
  return { folder: dirname(manifestPath), version: require(manifestPath).version };
}
