import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

/**
 * Opens a file of the user's to read it.
 * @param expected what it should be, as in `a readable file`
 * @throws HyperArcError E_FORMAT naming it and why it cannot be opened.
 */
export function openToRead(path: string, expected: string, fix: string): number {
  try {
    return openSync(path, 'r');
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message;
    throw new HyperArcError('E_FORMAT', `${path}: expected ${expected}, received ${reason}; ${fix}`, { cause });
  }
}

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

/**
 * Makes a folder and those that lead to it, where they are not there yet.
 * One at a time, since mkdir with `recursive` never returns below /proc: that answers that a parent is missing which is there.
 */
export function makeFolder(folder: string): void {
  const missing: string[] = [];
  for (let at = resolve(folder); !existsSync(at); at = dirname(at)) missing.unshift(at);
  for (const path of missing) {
    try {
      mkdirSync(path);
    } catch (error) {
      // Another process made it in between.
      if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) throw error;
    }
  }
}

/** Makes a whole file or none: `write` makes one of a temporary name, which is renamed. Replaces a file of the name. */
export function writeWholeFile(path: string, write: (partial: string) => void): void {
  const partial = `${path}.partial`;
  try {
    rmSync(partial, { force: true });
    write(partial);
    sync(partial);
    renameDurably(partial, path);
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  }
}

/** Writes a whole file or none: to a temporary name, then renamed. */
export function writeAtomically(path: string, content: string | Uint8Array): void {
  writeWholeFile(path, (partial) => writeFileSync(partial, content));
}
