// Compiles @tensorflow/tfjs-node-gpu's own binding against a libtensorflow, links it into node_modules, and tries it.
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeFolder, run, SetupError } from './files.mjs';
import { inspectLibrary } from './libtensorflow.mjs';

const require = createRequire(import.meta.url);
/** Loads tfjs-node and prints its version as JSON; run as a child process. */
export const PROBE = join(dirname(fileURLToPath(import.meta.url)), 'probe.mjs');

/** The N-API version of the folder that tfjs-node's loader looks in (lib/napi-v8). */
const NAPI_VERSION = 8;

/** Folder with node_api.h: beside this node, in the node-api-headers package, or fetched from the release's page. */
async function nodeHeaders(environment, options) {
  const beside = resolve(dirname(realpathSync(process.execPath)), '..', 'include', 'node');
  if (existsSync(join(beside, 'node_api.h'))) return beside;
  try {
    return require('node-api-headers').include_dir;
  } catch {
    // Not installed: fetched below.
  }
  const fetched = join(environment.cache, `node-headers-${environment.nodeVersion}`);
  const include = join(fetched, 'include', 'node');
  if (existsSync(include)) return include;
  const url = process.release.headersUrl;
  if (options.offline || !url || !environment.tar) {
    throw new SetupError(`node_api.h: not beside ${process.execPath}; install the node-api-headers package`);
  }
  const response = await fetch(url);
  if (!response.ok) throw new SetupError(`${url}: HTTP status ${response.status}`);
  const archive = Buffer.from(await response.arrayBuffer());
  await makeFolder(fetched, (temporary) => {
    run(environment.tar, ['-xz', '--strip-components=1', '-C', temporary], { input: archive });
  });
  return include;
}

/**
 * Compiles the binding to `binding` (a path in the cache).
 * @throws SetupError with the compiler's last lines.
 */
export async function buildBinding(binding, tfjs, libraryFolder, environment, options) {
  const library = inspectLibrary(libraryFolder);
  const sources = readdirSync(join(tfjs.folder, 'binding')).filter((name) => name.endsWith('.cc'));
  const headers = await nodeHeaders(environment, options);
  // Relative inside the cache, so that the cache can be moved; absolute for a folder of the user's.
  const inCache = !relative(environment.cache, library.libraryFolder).startsWith('..');
  const runPath = inCache ? `$ORIGIN/${relative(dirname(binding), library.libraryFolder)}` : library.libraryFolder;
  const temporary = `${binding}.tmp-${process.pid}`;
  mkdirSync(dirname(binding), { recursive: true });
  try {
    run(environment.compiler, [
      ...['-std=c++17', '-O2', '-fPIC', '-shared', '-w', `-DNAPI_VERSION=${NAPI_VERSION}`],
      ...['-I', library.includeFolder, '-I', headers],
      ...sources.map((name) => join(tfjs.folder, 'binding', name)),
      ...['-L', library.libraryFolder, ...library.libraries.map((name) => `-l:${name}`)],
      ...[`-Wl,-rpath,${runPath}`, '-o', temporary],
    ]);
    renameSync(temporary, binding);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Where tfjs-node looks for its binding. */
export const bindingPath = (tfjs) => join(tfjs.folder, 'lib', `napi-v${NAPI_VERSION}`, 'tfjs_binding.node');

/** Whether tfjs-node in node_modules would load `binding`. */
export function isLinked(tfjs, binding) {
  const path = bindingPath(tfjs);
  try {
    return lstatSync(path).isSymbolicLink() && readlinkSync(path) === binding && existsSync(binding);
  } catch {
    return false;
  }
}

/** Makes tfjs-node load `binding`: a link, which `npm ci` removes and the next set-up makes again. */
export function linkBinding(tfjs, binding) {
  const path = bindingPath(tfjs);
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.tmp-${process.pid}`;
  rmSync(temporary, { force: true });
  try {
    symlinkSync(binding, temporary);
  } catch {
    copyFileSync(binding, temporary); // A file system without links.
  }
  renameSync(temporary, path);
}

/** Removes a link that a set-up made; a binding that someone built in place stays. */
export function unlinkBinding(tfjs) {
  const path = bindingPath(tfjs);
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) rmSync(path);
}

/**
 * Loads tfjs-node and multiplies two matrices in a child process, so that a crash is a message.
 * @returns {{tensorflowVersion: string, usesGpu: boolean}}
 */
export function probeBinding() {
  const output = run(process.execPath, [PROBE], { timeout: 120_000 });
  const line = output.split('\n').find((text) => text.startsWith('{"tensorflowVersion"'));
  if (!line) throw new SetupError(`the probe of the binding answered ${JSON.stringify(output.slice(-200))}`);
  return JSON.parse(line);
}
