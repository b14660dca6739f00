import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Has the kernel put a file's bytes, or a folder's entries, on the disk: a rename can otherwise outlive a power cut that its bytes do not. */
function sync(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Puts everything below a folder on the disk. */
export function syncFolder(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) syncFolder(path);
    else sync(path);
  }
  sync(folder);
}

/** Renames, and puts the new name on the disk. */
export function renameDurably(from: string, to: string): void {
  renameSync(from, to);
  sync(dirname(to));
}

/** Writes a whole file or none: to a temporary name, then renamed. */
export function writeAtomically(path: string, content: string | Uint8Array): void {
  const partial = `${path}.partial`;
  try {
    writeFileSync(partial, content);
    sync(partial);
    renameDurably(partial, path);
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  }
}
