import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { renameDurably, syncFolder } from '../../files.js';

/**
 * @param file what is written into the folder, as its user would name it; absent: the folder itself is named
 * @throws HyperArcError E_RANGE if there is something at `path` already.
 */
export function refuseExisting(path: string, file?: string): void {
  if (!existsSync(path)) return;
  const expected = file === undefined ? 'a folder' : `${file} in a folder`;
  throw new HyperArcError(
    'E_RANGE',
    `to: expected ${expected} that is not there yet, received ${path}; name another or remove it`,
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
