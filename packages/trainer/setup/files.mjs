// Child processes and whole-or-absent folders, for the TensorFlow set-up.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

export class SetupError extends Error {}

/** Runs a program; returns stdout, or throws a SetupError that ends with the last lines it wrote. */
export function run(program, args, options = {}) {
  const result = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 64 * 2 ** 20, ...options });
  if (result.error) throw new SetupError(`${program}: ${result.error.message}`);
  if (result.status !== 0) {
    const tail = `${result.stdout ?? ''}\n${result.stderr ?? ''}`.trim().split('\n').slice(-4).join('\n  ');
    const how = result.signal ? `was ended by ${result.signal}` : `failed with exit code ${result.status}`;
    throw new SetupError(`${program} ${args.slice(0, 3).join(' ')} … ${how}:\n  ${tail}`);
  }
  return result.stdout;
}

export const shortHash = (text) => createHash('sha256').update(text).digest('hex').slice(0, 12);

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Removes what set-ups that were killed have left beside `folder`. */
function removeLeftovers(folder) {
  const prefix = `${basename(folder)}.tmp-`;
  for (const name of readdirSync(dirname(folder))) {
    if (name.startsWith(prefix) && !isRunning(Number(name.slice(prefix.length)))) {
      rmSync(join(dirname(folder), name), { recursive: true, force: true });
    }
  }
}

/** Fills a new folder through `fill(temporaryFolder)` and renames it to `folder`, replacing one that is there: whole or absent. */
export async function makeFolder(folder, fill) {
  const temporary = `${folder}.tmp-${process.pid}`;
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true });
  removeLeftovers(folder);
  try {
    await fill(temporary);
    rmSync(folder, { recursive: true, force: true });
    try {
      renameSync(temporary, folder);
    } catch (error) {
      // Another set-up finished the same folder first: its files are as good.
      if (!existsSync(folder)) throw error;
    }
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

export function writeWhole(path, text) {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.tmp-${process.pid}`;
  writeFileSync(temporary, text);
  renameSync(temporary, path);
}

/** Parsed JSON of a file; undefined when it is absent or not JSON. */
export function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}
