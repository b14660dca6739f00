import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';

import { HyperArcError } from '@hyperarc/kernels-cuda';

import { renameDurably, syncFolder, writeAtomically } from '../files.js';
import { MANIFEST_NAME, describeFolder, readManifest, verifyFolder } from './manifest.js';

const PARTIAL_PREFIX = '.partial-';

/** A checkpoint in a {@link CheckpointStore}. */
export interface CheckpointEntry {
  readonly path: string;
  readonly step: number;
}

/** The checkpoints of one run: folders step-00000100, each whole or absent. */
export class CheckpointStore {
  constructor(readonly folder: string) {}

  /** Checkpoints by step, oldest first. Folders still being written are not among them. */
  list(): CheckpointEntry[] {
    if (!existsSync(this.folder)) return [];
    return readdirSync(this.folder)
      .filter((name) => /^step-\d+$/.test(name))
      .map((name) => ({ path: join(this.folder, name), step: Number(name.slice('step-'.length)) }))
      .sort((a, b) => a.step - b.step);
  }

  /**
   * Saves a checkpoint: `write` fills a temporary folder, which is then described and renamed. If anything fails, nothing has changed.
   * @param score higher is better; null: unknown.
   * @returns the checkpoint's folder.
   */
  async save(step: number, score: number | null, write: (folder: string) => Promise<void>): Promise<string> {
    const final = join(this.folder, `step-${String(step).padStart(8, '0')}`);
    const partial = join(this.folder, `${PARTIAL_PREFIX}${basename(final)}`);
    const replaced = join(this.folder, `${PARTIAL_PREFIX}replaced-${basename(final)}`);
    this.removePartial();
    mkdirSync(partial, { recursive: true });
    try {
      await write(partial);
      syncFolder(partial);
      const manifest = await describeFolder(partial, step, score);
      writeAtomically(join(partial, MANIFEST_NAME), `${JSON.stringify(manifest, null, 2)}\n`);
      // A damaged checkpoint of this step makes room first, under a name that is cleaned up.
      if (existsSync(final)) renameSync(final, replaced);
      renameDurably(partial, final);
      rmSync(replaced, { recursive: true, force: true });
    } catch (error) {
      rmSync(partial, { recursive: true, force: true });
      throw error;
    }
    return final;
  }

  /** Removes what a killed process left half-written. */
  removePartial(): void {
    if (!existsSync(this.folder)) return;
    for (const name of readdirSync(this.folder)) {
      if (name.startsWith(PARTIAL_PREFIX)) rmSync(join(this.folder, name), { recursive: true, force: true });
    }
  }

  /**
   * Keeps the newest `keepLast` up to `step`, where the run stands, and the `keepBest` of them with the best scores; removes the others. A
   * later one is a damaged one that the run passed over: kept, it would pass for the newest.
   */
  prune({ keepLast, keepBest }: { keepLast: number; keepBest: number }, step: number): void {
    const remove = ({ path }: CheckpointEntry): void => rmSync(path, { recursive: true, force: true });
    const entries = this.list();
    entries.filter((entry) => entry.step > step).forEach(remove);
    const reached = entries.filter((entry) => entry.step <= step);
    const best = new Set(
      this.ranked()
        .slice(0, keepBest)
        .map(({ path }) => path),
    );
    reached
      .slice(0, Math.max(0, reached.length - keepLast))
      .filter(({ path }) => !best.has(path))
      .forEach(remove);
  }

  /** Checkpoints with a score, best first; the newer one of equals first. Unreadable manifests do not compete. */
  ranked(): CheckpointEntry[] {
    return this.list()
      .map((entry) => ({ entry, score: scoreOf(entry.path) }))
      .filter((one): one is { entry: CheckpointEntry; score: number } => one.score !== null)
      .sort((a, b) => b.score - a.score || b.entry.step - a.entry.step)
      .map(({ entry }) => entry);
  }

  /** The checkpoint with the highest score. */
  best(): CheckpointEntry | undefined {
    return this.ranked()[0];
  }

  /**
   * The newest checkpoint, its bytes checked.
   * @param fallBack true: pass over damaged ones to the newest whole one, telling `warn` of each.
   * @throws HyperArcError E_FORMAT if there is none, or if the newest is damaged and `fallBack` is false.
   */
  async newest(fallBack: boolean, warn: (message: string) => void): Promise<CheckpointEntry> {
    const entries = this.list().reverse();
    for (const [i, entry] of entries.entries()) {
      try {
        await verifyFolder(entry.path);
        return entry;
      } catch (error) {
        if (!(error instanceof HyperArcError)) throw error;
        if (!fallBack) {
          const older = entries[i + 1];
          const fix = older === undefined ? '' : `; give --fall-back to go on from ${older.path}`;
          throw new HyperArcError('E_FORMAT', error.message.replace(/^E_FORMAT: /, '') + fix, { cause: error });
        }
        warn(`${error.message}; passed over`);
      }
    }
    throw new HyperArcError('E_FORMAT', `${this.folder}: expected a whole checkpoint, found none`);
  }
}

function scoreOf(folder: string): number | null {
  try {
    return readManifest(folder).score;
  } catch {
    return null;
  }
}
