import { statSync } from 'node:fs';
import { ArrayFile, writeArrays, type StoredArray } from './arrayFile.js';

export interface OpenOptions {
  /** Told what opening does that takes time, and what falls short. */
  readonly log?: (line: string) => void;
  /** Ends the making of an index with its reason. */
  readonly signal?: AbortSignal;
}

/** What changes when one of the files does: size and time of change; null where there is no file. */
export function stampOf(paths: readonly string[]): (readonly [number, number] | null)[] {
  return paths.map((path) => {
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat === undefined ? null : [stat.size, stat.mtimeMs];
  });
}

/** An index T, as M when it has just been made. */
export interface CachedIndex<T, M extends T> {
  /** The dataset that the index is of. */
  readonly root: string;
  /** Where it is kept. */
  readonly indexPath: string;
  /** Plain JSON; an index with another stamp is made again. */
  readonly stamp: unknown;
  /** The index of a file, whose arrays are not trusted. Errors: those of {@link ArrayFile}. */
  readonly parse: (file: ArrayFile) => T;
  readonly make: () => Promise<M>;
  readonly arraysOf: (index: M) => Readonly<Record<string, StoredArray>>;
  readonly imagesOf: (index: M) => number;
}

/** The index in its file, or made anew and put there; says what it does. */
export async function cachedIndex<T, M extends T>(
  cached: CachedIndex<T, M>,
  { log = () => {} }: OpenOptions,
): Promise<T> {
  const { root, indexPath, arraysOf } = cached;
  const stamp = JSON.stringify(cached.stamp);
  const known = readIndex(cached, stamp, log);
  if (known !== undefined) return known;
  const started = performance.now();
  const index = await cached.make();
  try {
    writeArrays(indexPath, { stamp }, arraysOf(index));
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    log(`${root}: ${cached.imagesOf(index)} images indexed in ${seconds} s, kept in ${indexPath}`);
  } catch (error) {
    log(`${root}: the index of its images cannot be kept and is made anew each time: ${(error as Error).message}`);
  }
  return index;
}

function readIndex<T, M extends T>(
  { root, indexPath, parse }: CachedIndex<T, M>,
  stamp: string,
  log: (line: string) => void,
): T | undefined {
  if (statSync(indexPath, { throwIfNoEntry: false }) === undefined) return undefined;
  try {
    const file = new ArrayFile(indexPath);
    if (file.facts.stamp === stamp) return parse(file);
    log(`${indexPath} is of another state of ${root}: making it again`);
  } catch (error) {
    log(`${(error as Error).message}: making it again`);
  }
  return undefined;
}

const LOG_EVERY_MS = 5000;

/** Says every few seconds how far the making of an index is. */
export function indexProgress(root: string, log: (line: string) => void): (images: number) => void {
  let told = performance.now();
  return (images) => {
    if (performance.now() - told < LOG_EVERY_MS) return;
    told = performance.now();
    log(`${root}: ${images} images indexed`);
  };
}
