import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { makeFolder, renameDurably, syncFolder } from '../../files.js';

/** Makes a folder whole or not at all: `write` fills one beside it, which is renamed at the end. */
export async function writeWholeFolder<T>(folder: string, write: (partial: string) => Promise<T>): Promise<T> {
  const place = resolve(folder);
  const partial = join(dirname(place), `.${basename(place)}.partial-${randomUUID()}`);
  makeFolder(partial);
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
