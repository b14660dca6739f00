import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';

/** Loads the file and asks it for its devices: what a broken build or a missing instruction would die of. */
const PROBE = 'require(process.argv[1]).listDevices()';
const TIMEOUT_MS = 60_000;

/** The last line of Node's report that says what happened, e.g. "Error: …: file too short". */
function reason(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trim());
  return lines.find((line) => /^\w*Error\b/.test(line)) ?? lines.find((line) => line !== '') ?? 'no message';
}

/**
 * Loads an addon file in a child process. Returns undefined if it works there, else why not. What worked is remembered for the
 * process and the workers it starts later, until the file changes.
 */
export function probeAddon(path: string): string | undefined {
  const { mtimeMs, size } = statSync(path);
  const key = `hyperarc-probe:${resolve(path)}:${mtimeMs}:${size}`;
  if (getEnvironmentData(key) === true) return undefined;

  // NODE_OPTIONS may preload modules that belong to this process alone.
  const env = { ...process.env, NODE_OPTIONS: '', ELECTRON_RUN_AS_NODE: '1' };
  const child = spawnSync(process.execPath, ['-e', PROBE, resolve(path)], {
    env,
    timeout: TIMEOUT_MS,
    encoding: 'utf8',
  });
  if (child.error) return `could not be tried in a child process: ${child.error.message}`;
  if (child.signal) return `ended a child process with ${child.signal}`;
  if (child.status !== 0) return `does not load: ${reason(child.stderr)}`;
  setEnvironmentData(key, true);
  return undefined;
}
