import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { CheckpointStore } from '../checkpoint/store.js';
import { loadConfig } from '../config/load.js';
import { FILES } from './files.js';
import { isCheckpoint } from './runFolder.js';
import { readIdentities } from './startingWeights.js';

/** The checkpoint that tells what a run or a checkpoint was trained on; undefined for a model folder and for a run without one. */
function checkpointOf(path: string): string | undefined {
  if (isCheckpoint(path)) return path;
  const newest = new CheckpointStore(join(path, 'checkpoints')).list().at(-1);
  return newest?.path;
}

/**
 * How many of `names` a run or a checkpoint was trained on. Names are of the same people only within one dataset, so of another
 * `root` than it had there are none, unless `anyRoot` says that names are people.
 * @returns 0 too where nothing tells it: a model folder, a checkpoint from before names were saved.
 */
export function countTrained(
  path: string,
  { names, root, anyRoot = false }: { names: readonly string[]; root: string; anyRoot?: boolean },
): number {
  const folder = checkpointOf(path);
  if (folder === undefined || !existsSync(join(folder, FILES.identities))) return 0;
  if (!anyRoot && resolve(loadConfig(join(folder, FILES.config)).data.root) !== resolve(root)) return 0;
  const trained = new Set(readIdentities(folder));
  return names.filter((name) => trained.has(name)).length;
}
