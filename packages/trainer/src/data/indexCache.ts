import { statSync } from 'node:fs';
import { readArrays, writeArrays, type StoredArray } from './arrayFile.js';

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

export interface CachedIndex<T> {
  /** The dataset that the index is of. */
  readonly root: string;
  /** Where it is kept. */
  readonly indexPath: string;
  /** Plain JSON; an index with another stamp is made again. */
  readonly stamp: unknown;
  /** The index, if the arrays that a file holds are one. They are not trusted. */
  readonly parse: (arrays: ReadonlyMap<string, StoredArray>) => T | undefined;
  readonly make: () => Promise<T>;
  readonly arraysOf: (index: T) => Readonly<Record<string, StoredArray>>;
  readonly imagesOf: (index: T) => number;
}

/** The index in its file, or made anew and put there; says what it does. */
export async function cachedIndex<T>(cached: CachedIndex<T>, { log = () => {} }: OpenOptions): Promise<T> {
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

function readIndex<T>(
  { root, indexPath, parse }: CachedIndex<T>,
  stamp: string,
  log: (line: string) => void,
): T | undefined {
  if (statSync(indexPath, { throwIfNoEntry: false }) === undefined) return undefined;
  let read: ReturnType<typeof readArrays>;
  try {
    read = readArrays(indexPath);
  } catch (error) {
    log(`${(error as Error).message}: making it again`);
    return undefined;
  }
  if (read.facts.stamp !== stamp) {
    log(`${indexPath} is of another state of ${root}: making it again`);
    return undefined;
  }
  const index = parse(read.arrays);
  if (index === undefined) log(`${indexPath} is damaged: making it again`);
  return index;
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
