import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { makeFolder } from '../files.js';
import { checkNewOutput } from '../outputs.js';
import type { ImageDataset } from './dataset.js';
import { contiguousFolds } from './folds.js';
import { KeyedRandom } from './keyedRandom.js';
import { isLfwHeader, parseLfwPairs } from './lfwPairs.js';

/** Two images of a verification protocol, paths relative to the dataset's root. */
export interface ImagePair {
  readonly a: string;
  readonly b: string;
  readonly same: boolean;
  /** From 0. */
  readonly fold: number;
}

export interface MakePairsOptions {
  /** Wanted number of pairs, half of them of the same identity; rounded down to a multiple of 2·folds. */
  readonly pairs: number;
  /** Default 10. */
  readonly folds?: number;
  readonly seed: number;
}

/**
 * Draws verification pairs. Each fold has as many same as different pairs, no pair comes twice, and no identity is in
 * two folds where every fold can have two identities with two images each; with fewer, all folds share them.
 * @throws HyperArcError E_RANGE when the dataset has not that many pairs.
 */
export function makePairs(dataset: ImageDataset, { pairs, folds = 10, seed }: MakePairsOptions): ImagePair[] {
  const perFold = checkFolds(pairs, folds);
  const images = dataset.identities.map((): string[] => []);
  dataset.labels.forEach((label, index) => images[label]!.push(dataset.nameOf(index)));
  const random = new KeyedRandom(0x7061697273, seed);
  const shuffled = random.shuffle(images.filter((list) => list.length >= 2));
  if (shuffled.length < 2) {
    throw new HyperArcError('E_RANGE', `pairs: expected at least 2 identities with 2 images each, received ${shuffled.length}; give more images`);
  }
  const disjoint = shuffled.length >= 2 * folds;
  const groups = Array.from({ length: folds }, (_, fold) => (disjoint ? shuffled.filter((_, i) => i % folds === fold) : shuffled));
  const most = Math.min(...groups.map((group) => Math.floor(pairsOfAKind(group) / (disjoint ? 1 : folds))));
  if (perFold > most) {
    const where = 'evaluate.pairs; hyperarc evaluate --count; hyperarc data pairs --pairs';
    const fix = most === 0 ? 'give more images, or ask for fewer folds' : `ask for fewer pairs, at most ${2 * folds * most} (${where}), or fewer folds`;
    throw new HyperArcError(
      'E_RANGE',
      `pairs: expected images for ${perFold} same and ${perFold} different pairs in each of ${folds} folds, received ${dataset.labels.length} images ` +
        `of ${dataset.identities.length} identities, enough for ${most}; ${fix}`,
    );
  }
  const taken = new Set<string>();
  const result: ImagePair[] = [];
  for (const [fold, group] of groups.entries()) {
    result.push(...drawPairs(perFold, true, fold, taken, () => twoOfOne(group, random)));
    result.push(...drawPairs(perFold, false, fold, taken, () => oneOfTwo(group, random)));
  }
  return result;
}

/** @returns Same, and different, pairs of a fold. @throws HyperArcError E_RANGE */
export function checkFolds(pairs: number, folds: number): number {
  const perFold = Math.floor(pairs / (2 * folds));
  if (!Number.isInteger(folds) || folds < 2 || perFold < 1) {
    throw new HyperArcError('E_RANGE', `pairs: expected at least 2 folds and two pairs a fold, received ${pairs} pairs in ${folds} folds`);
  }
  return perFold;
}

/** How many same, and at least as many different, pairs a fold's identities have. */
function pairsOfAKind(group: readonly string[][]): number {
  const inPairs = (count: number) => (count * (count - 1)) / 2;
  const images = group.reduce((sum, { length }) => sum + length, 0);
  const same = group.reduce((sum, { length }) => sum + inPairs(length), 0);
  return Math.min(same, inPairs(images) - same);
}

function twoOfOne(group: readonly string[][], random: KeyedRandom): [string, string] {
  const list = random.pick(group);
  const first = random.integer(list.length);
  const second = (first + 1 + random.integer(list.length - 1)) % list.length;
  return [list[first]!, list[second]!];
}

function oneOfTwo(group: readonly string[][], random: KeyedRandom): [string, string] {
  const first = random.integer(group.length);
  const second = (first + 1 + random.integer(group.length - 1)) % group.length;
  return [random.pick(group[first]!), random.pick(group[second]!)];
}

/**
 * Draws `count` pairs that are not taken yet.
 * @param next A pair; undefined for a draw that found none.
 */
export function drawPairs(
  count: number,
  same: boolean,
  fold: number,
  taken: Set<string>,
  next: () => [string, string] | undefined,
): ImagePair[] {
  const drawn: ImagePair[] = [];
  // Pairs drawn before are drawn again; when nearly all are taken that would not end.
  for (let tries = 0; drawn.length < count; tries++) {
    if (tries > 100 * count + 1000) {
      const kind = same ? 'same-identity' : 'different-identity';
      throw new HyperArcError('E_RANGE', `pairs: expected ${count} ${kind} pairs in each fold, received images for ${drawn.length}; ask for fewer pairs`);
    }
    const pair = next();
    if (pair === undefined) continue;
    const [a, b] = pair;
    const key = a < b ? `${a}\0${b}` : `${b}\0${a}`;
    if (taken.has(key)) continue;
    taken.add(key);
    drawn.push({ a, b, same, fold });
  }
  return drawn;
}

/**
 * Writes pairs as text, one a line: `pathA<TAB>pathB<TAB>0|1<TAB>fold`. Makes the folders that lead to the file.
 * @throws HyperArcError E_RANGE if `file` is there already or cannot be written.
 */
export async function writePairs(file: string, pairs: readonly ImagePair[]): Promise<void> {
  checkNewOutput('file', file, 'a file');
  makeFolder(dirname(file));
  const partial = `${file}.partial-${process.pid}`;
  try {
    await writeFile(partial, pairs.map(({ a, b, same, fold }) => `${a}\t${b}\t${same ? 1 : 0}\t${fold}\n`).join(''));
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

export interface ReadPairsOptions {
  /** Folder of the images: in LFW's layout their endings are looked up there. */
  readonly root?: string;
  /** Folds, unshuffled and of equal size, of a list that names none. Default 10. */
  readonly folds?: number;
}

/**
 * Reads a list of pairs: lines `pathA pathB 0|1 fold` as `writePairs` writes them, or without folds, fields between tabs or spaces; or LFW's official
 * pairs.txt, known by its header (`parseLfwPairs`).
 * @throws HyperArcError E_FORMAT naming the line.
 */
export async function readPairs(file: string, { root, folds = 10 }: ReadPairsOptions = {}): Promise<ImagePair[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new HyperArcError('E_FORMAT', `pairs: expected a readable file, received ${file} (${(cause as Error).message}); check the path`, { cause });
  }
  const lines = text.split(/\r?\n/);
  if (isLfwHeader(lines[0]!)) return parseLfwPairs(lines, file, root);
  const pairs: { a: string; b: string; same: boolean; fold: number | undefined }[] = [];
  for (const [i, line] of lines.entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const fields = line.includes('\t') ? line.split('\t') : line.trim().split(/ +/);
    const [a, b, same, fold] = fields;
    const isPair = (fields.length === 3 || (fields.length === 4 && /^\d{1,6}$/.test(fold!))) && a && b && /^[01]$/.test(same!);
    const first = pairs[0];
    if (!isPair || (first !== undefined && (first.fold === undefined) !== (fold === undefined))) {
      const expected = first === undefined ? 'pathA pathB 0|1 fold' : `pathA pathB 0|1${first.fold === undefined ? '' : ' fold'}`;
      throw new HyperArcError('E_FORMAT', `pairs: expected "${expected}", received "${line.slice(0, 120)}" at ${file}:${i + 1}; mend the line`);
    }
    pairs.push({ a, b, same: same === '1', fold: fold === undefined ? undefined : Number(fold) });
  }
  if (pairs.length === 0) throw new HyperArcError('E_FORMAT', `pairs: expected at least one pair, received none in ${file}; make it with hyperarc data pairs`);
  const foldOf = contiguousFolds(pairs.length, folds);
  return pairs.map((pair, i) => ({ ...pair, fold: pair.fold ?? foldOf[i]! }));
}
