import { existsSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

import type { NativeAddon } from './binding.js';
import { HyperArcError } from './errors.js';
import { probeAddon } from './probe.js';

/** The version of binding.ts that this package speaks. */
const ABI = 4;
const require = createRequire(import.meta.url);

/** One place where the addon was looked for, and what came of it. */
export interface AddonAttempt {
  readonly path: string;
  /** 'loaded', 'not there', or why it could not be used. */
  readonly outcome: string;
}

/** What {@link addonStatus} finds. */
export interface AddonStatus {
  readonly loaded: boolean;
  /** File of the loaded addon. */
  readonly path?: string;
  /** e.g. "cpu-only, g++ 12.2.0, Release" */
  readonly buildDescription?: string;
  /** Empty when CUDA is built in and usable; else why not. */
  readonly whyNoCuda?: string;
  /** Why nothing could be loaded, with the command that mends it. */
  readonly error?: string;
  /** That command alone. */
  readonly mend?: string;
  readonly tried: readonly AddonAttempt[];
}

interface Candidate {
  readonly path: string;
  /** What to do when the file is there and does not work. */
  readonly mend: string;
}

interface Loaded {
  readonly addon: NativeAddon;
  readonly path: string;
}

const BUILD_COMMAND = 'node scripts/native.mjs addon';
const packageFolder = new URL('..', import.meta.url);
/** Whether this package lies in HyperArc's repository, beside the addon's sources. */
const inRepository = existsSync(new URL('../../native/CMakeLists.txt', packageFolder));

let loaded: Loaded | undefined;
let tried: AddonAttempt[] = [];
/** What mends the last attempt that failed. */
let mend = '';

function candidates(): Candidate[] {
  const override = process.env['HYPERARC_ADDON'];
  if (override) return [{ path: override, mend: 'unset HYPERARC_ADDON, or name a working hyperarc.node in it' }];

  const found: Candidate[] = [];
  if (inRepository) {
    const path = fileURLToPath(new URL('../../native/build/Release/hyperarc.node', packageFolder));
    found.push({ path, mend: `build it anew: ${BUILD_COMMAND}` });
  }
  const prebuilt = `@hyperarc/kernels-cuda-${process.platform}-${process.arch}`;
  try {
    found.push({
      path: require.resolve(`${prebuilt}/hyperarc.node`),
      mend: `install it anew: npm install ${prebuilt}`,
    });
  } catch {
    found.push({ path: `${prebuilt}/hyperarc.node`, mend: '' });
  }
  return found;
}

function tryCandidate(path: string): Loaded | string {
  const problem = probeAddon(path);
  if (problem !== undefined) return problem;
  try {
    const addon = require(path) as NativeAddon;
    if (addon.abi !== ABI) return `speaks version ${String(addon.abi)} of the binding, this package speaks ${ABI}`;
    return { addon, path };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * The native addon, loaded on the first call: from the file that the environment variable `HYPERARC_ADDON` names, else the local
 * build of this repository, else the prebuilt package of this platform. A file is first loaded in a child process, so that one
 * that crashes on this machine is an error and not the end of the process.
 * @throws HyperArcError E_DEVICE with the places tried and the command that mends it.
 */
export function loadAddon(): NativeAddon {
  if (loaded) return loaded.addon;
  tried = [];
  mend = inRepository
    ? `build it: ${BUILD_COMMAND}`
    : `build it in a clone of HyperArc (${BUILD_COMMAND}) and name its native/build/Release/hyperarc.node in HYPERARC_ADDON`;
  for (const candidate of candidates()) {
    if (!statSync(candidate.path, { throwIfNoEntry: false })?.isFile()) {
      tried.push({ path: candidate.path, outcome: 'not there' });
      if (process.env['HYPERARC_ADDON']) mend = candidate.mend;
      continue;
    }
    const result = tryCandidate(candidate.path);
    if (typeof result !== 'string') {
      tried.push({ path: candidate.path, outcome: 'loaded' });
      loaded = result;
      return result.addon;
    }
    // A file that is there and broken is reported, not passed over.
    tried.push({ path: candidate.path, outcome: result });
    mend = candidate.mend;
    break;
  }
  const attempts = tried.map(({ path, outcome }) => `${path} (${outcome})`).join(', ');
  throw new HyperArcError('E_DEVICE', `addon: expected a native addon that loads, received ${attempts}; ${mend}`);
}

/** Whether the addon loads, from where, how it was built, and what mends it if it does not. Never throws. */
export function addonStatus(): AddonStatus {
  try {
    const addon = loadAddon();
    const { buildDescription } = addon;
    const whyNoCuda = addon.whyNoCuda();
    return { loaded: true, path: loaded?.path ?? '', buildDescription, whyNoCuda, tried: [...tried] };
  } catch (error) {
    return { loaded: false, error: error instanceof Error ? error.message : String(error), mend, tried: [...tried] };
  }
}
