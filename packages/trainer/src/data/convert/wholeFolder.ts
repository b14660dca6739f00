import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { renameDurably, syncFolder } from '../../files.js';

/** @throws HyperArcError E_RANGE if there is something at `path` already. */
export function refuseExisting(path: string): void {
  if (!existsSync(path)) return;
  throw new HyperArcError(
    'E_RANGE',
    `to: expected a folder that is not there yet, received ${path}; name another or remove it`,
  );
}

/** Makes a folder whole or not at all: `write` fills one beside it, which is renamed at the end. */
export async function writeWholeFolder<T>(folder: string, write: (partial: string) => Promise<T>): Promise<T> {
  const place = resolve(folder);
  const partial = join(dirname(place), `.${basename(place)}.partial-${randomUUID()}`);
  mkdirSync(partial, { recursive: true });
  try {
    const result = await write(partial);
    syncFolder(partial);
    renameDurably(partial, place);
    return result;
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw error;
  }
}
