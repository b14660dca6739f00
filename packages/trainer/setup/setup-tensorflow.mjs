// Makes @tensorflow/tfjs-node-gpu usable: finds a libtensorflow, builds the package's binding against it, links it.
// Everything but one link lives in the cache, outside node_modules. Plain Node, no dependencies.
import { existsSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { bindingPath, buildBinding, isLinked, linkBinding, probeBinding, unlinkBinding } from './binding.mjs';
import { chooseSources, describeSource, sourceKey, WASM_COST, WHEEL_VERSION } from './choose.mjs';
import { readEnvironment, SETUP_COMMAND } from './environment.mjs';
import { readJson, SetupError, shortHash, writeWhole } from './files.mjs';
import { folderIdentity, obtainLibrary } from './libtensorflow.mjs';

export { PROBE, probeBinding } from './binding.mjs';
export { WASM_COST, WASM_SLOWDOWN } from './choose.mjs';
export { SETUP_COMMAND } from './environment.mjs';

const USAGE = `Usage: ${SETUP_COMMAND} [--libtensorflow DIR] [--cpu] [--offline] [--force] [--check]

Makes @tensorflow/tfjs-node-gpu usable by building its binding against a libtensorflow, taken from
  1. DIR (or HYPERARC_LIBTENSORFLOW): the "tensorflow" folder of a Python installation, or an unpacked C archive;
  2. the TensorFlow ${WHEEL_VERSION} Python wheel: with CUDA where there is an NVIDIA GPU (unless --cpu), else for the CPU;
  3. the TensorFlow project's C archive (HYPERARC_LIBTENSORFLOW_URL for another address).
Where none can be had, training uses the WebAssembly backend, and the reason is kept for "hyperarc doctor".

  --check    print the state as JSON; exit code 0 when TensorFlow is ready, 1 when it is not
  --force    fetch and build again
  --offline  use only what is in the cache

Files are kept in HYPERARC_CACHE, else $XDG_CACHE_HOME/hyperarc, else ~/.cache/hyperarc.
`;

/** What a past outcome depended on: when it changes, a past failure is worth another try. */
function fingerprint(environment, options) {
  const folder = options.libtensorflow ?? environment.libtensorflow;
  let identity;
  try {
    identity = folder && folderIdentity(folder);
  } catch {
    identity = `${folder} (unusable)`;
  }
  return shortHash(
    JSON.stringify([
      { ...environment, tfjs: environment.tfjs.version, libtensorflow: identity },
      options.cpu ?? false,
      WHEEL_VERSION,
    ]),
  );
}

const statePath = (environment, tfjs) =>
  join(
    environment.cache,
    `state-tfjs-${tfjs.version}-abi-${environment.nodeAbi}-${environment.platform}-${environment.arch}.json`,
  );

/**
 * The last set-up's outcome on this machine, with `ready` as of now.
 * @returns {{ready: boolean, backend: 'tensorflow' | 'wasm' | 'none', reason?: string, source?: string,
 *   tensorflowVersion?: string, usesGpu?: boolean, binding?: string, libraryFolder?: string, tfjsVersion?: string,
 *   fingerprint?: string}}
 */
export function readState(environment = readEnvironment()) {
  const { tfjs } = environment;
  if (!tfjs) return { ready: false, backend: 'none', reason: '@tensorflow/tfjs-node-gpu is not installed; run npm ci' };
  const state = readJson(statePath(environment, tfjs));
  if (!state) return { ready: false, backend: 'none', reason: `TensorFlow was never set up; run ${SETUP_COMMAND}` };
  if (state.backend !== 'tensorflow') return { ...state, ready: false };
  if (!existsSync(state.binding) || !existsSync(state.libraryFolder)) {
    return { ...state, ready: false, reason: `files of the TensorFlow set-up are gone; run ${SETUP_COMMAND}` };
  }
  if (!isLinked(tfjs, state.binding)) {
    return { ...state, ready: false, reason: `node_modules was replaced; run ${SETUP_COMMAND}` };
  }
  return { ...state, ready: true };
}

/** Path of the binding that tfjs-node would load, whoever built it; undefined when there is none. */
export function installedBinding(environment = readEnvironment()) {
  const { tfjs } = environment;
  const path = tfjs && bindingPath(tfjs);
  return path && existsSync(path) ? path : undefined;
}

async function trySource(source, environment, options, log, probe) {
  const { tfjs } = environment;
  const libraryFolder = await obtainLibrary(source, environment, options, log);
  const library =
    source.kind === 'folder'
      ? `folder-${shortHash(folderIdentity(source.folder))}`
      : sourceKey(source, environment, shortHash);
  const binding = join(
    environment.cache,
    'binding',
    `tfjs-${tfjs.version}-abi-${environment.nodeAbi}-${library}`,
    'tfjs_binding.node',
  );
  if (options.force) rmSync(binding, { force: true });
  if (!existsSync(binding)) {
    log('building the binding …');
    await buildBinding(binding, tfjs, libraryFolder, environment, options);
  }
  linkBinding(tfjs, binding);
  try {
    return { libraryFolder, binding, ...probe() };
  } catch (error) {
    unlinkBinding(tfjs);
    rmSync(binding, { force: true });
    throw error;
  }
}

/**
 * Sets TensorFlow up, or says why training will use WebAssembly.
 * @param {{libtensorflow?: string, cpu?: boolean, offline?: boolean, force?: boolean}} options
 * @throws SetupError when a folder that the user named cannot be used, or tfjs-node-gpu is not installed.
 */
export async function setupTensorFlow(
  options = {},
  log = console.log,
  environment = readEnvironment(),
  probe = probeBinding,
) {
  const { tfjs } = environment;
  if (!tfjs) throw new SetupError('@tensorflow/tfjs-node-gpu is not installed; run npm ci');
  const print = fingerprint(environment, options);
  const past = readJson(statePath(environment, tfjs));
  const save = (state) => {
    const whole = { ...state, tfjsVersion: tfjs.version, fingerprint: print };
    writeWhole(statePath(environment, tfjs), `${JSON.stringify(whole, null, 2)}\n`);
    return readState(environment);
  };

  if (past?.fingerprint === print && !options.force) {
    if (past.backend === 'tensorflow' && existsSync(past.binding) && existsSync(past.libraryFolder)) {
      if (!isLinked(tfjs, past.binding)) linkBinding(tfjs, past.binding);
      log(`TensorFlow ${past.tensorflowVersion} is ready (${past.source}).`);
      return readState(environment);
    }
    if (past.backend === 'wasm') {
      log(`No TensorFlow: ${past.reason}\n  ${WASM_COST}. To try again: ${SETUP_COMMAND} --force`);
      return readState(environment);
    }
  }

  const { sources, obstacles } = chooseSources(environment, options);
  for (const source of sources) {
    const name = describeSource(source);
    const say = (text) => log(`TensorFlow from ${name}: ${text}`);
    try {
      const result = await trySource(source, environment, options, say, probe);
      const state = save({ backend: 'tensorflow', source: name, ...result });
      log(`TensorFlow ${state.tensorflowVersion} is ready (${name}).`);
      return state;
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      if (source.kind === 'folder') throw error;
      log(`TensorFlow from ${name} cannot be used: ${error.message}`);
      obstacles.push(`${name}: ${error.message.replace(/\s*\n\s*/g, ' ').trim()}`);
    }
  }
  const reason = obstacles.join('; ');
  unlinkBinding(tfjs);
  log(`No TensorFlow: ${reason}\n  ${WASM_COST}. To try again: ${SETUP_COMMAND} --force`);
  return save({ backend: 'wasm', reason });
}

/** The command. @returns {Promise<number>} exit code */
export async function main(argv) {
  let values;
  try {
    ({ values } = parseArgs({
      args: argv,
      options: {
        libtensorflow: { type: 'string' },
        cpu: { type: 'boolean' },
        offline: { type: 'boolean' },
        force: { type: 'boolean' },
        check: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }));
  } catch (error) {
    process.stderr.write(`${error.message}\n${USAGE}`);
    return 2;
  }
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (values.check) {
    const state = readState();
    process.stdout.write(`${JSON.stringify(state, null, 2)}\n`);
    return state.ready ? 0 : 1;
  }
  if (values.libtensorflow) values.libtensorflow = resolve(values.libtensorflow);
  try {
    await setupTensorFlow(values);
    return 0;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(`setup-tensorflow: ${error.message}\n`);
    return 1;
  }
}
