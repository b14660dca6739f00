import type { ImagePair } from '../../data/pairs.js';
import type { ImageDataset } from '../../data/dataset.js';
import { KeyedRandom } from '../../data/keyedRandom.js';

export interface GroupPairsOptions {
  /** Most pairs of each kind in each group. */
  readonly limit: number;
  readonly seed: number;
}

const STREAM = 0x6670616972;

/** The k-th pair (i, j), j < i, of an endless list (1,0), (2,0), (2,1), (3,0) … */
export function pairAt(k: number): [number, number] {
  let i = Math.floor((1 + Math.sqrt(1 + 8 * k)) / 2);
  // The square root may be off by one at large k.
  while ((i * (i - 1)) / 2 > k) i--;
  while (((i + 1) * i) / 2 <= k) i++;
  return [i, k - (i * (i - 1)) / 2];
}

/**
 * Pairs within groups: every pair of images of one person, and every pair of two people of the same group, where there are no
 * more of a kind than `limit`; else that many, drawn without repetition. All are of fold 0.
 * @param groupOf By path; images without a group are left out.
 */
export function groupPairs(
  dataset: Pick<ImageDataset, 'labels' | 'nameOf'>,
  groupOf: (path: string) => string | undefined,
  { limit, seed }: GroupPairsOptions,
): ImagePair[] {
  const groups = new Map<string, { path: string; label: number }[]>();
  for (const [index, label] of dataset.labels.entries()) {
    const sample = { path: dataset.nameOf(index), label };
    const group = groupOf(sample.path);
    if (group === undefined) continue;
    const list = groups.get(group);
    if (list === undefined) groups.set(group, [sample]);
    else list.push(sample);
  }
  const pairs: ImagePair[] = [];
  for (const [g, images] of [...groups.values()].entries()) {
    const all = (images.length * (images.length - 1)) / 2;
    const make = (k: number): ImagePair => {
      const [i, j] = pairAt(k);
      const [a, b] = [images[j]!, images[i]!];
      return { a: a.path, b: b.path, same: a.label === b.label, fold: 0 };
    };
    const mated = matedPairs(images);
    for (const kind of [true, false]) {
      const random = new KeyedRandom(STREAM, seed, g, Number(kind));
      const available = kind ? mated.length : all - mated.length;
      if (kind) {
        const chosen = available <= limit ? mated : random.shuffle(mated.slice()).subarray(0, limit).sort();
        for (const k of chosen) pairs.push(make(k));
      } else if (available <= limit) {
        for (let k = 0; k < all; k++) if (!make(k).same) pairs.push(make(k));
      } else {
        const taken = new Set<number>();
        while (taken.size < limit) {
          // 53 random bits: 32 would not reach every pair of a large group.
          const k = Math.floor(((random.uint32() * 2 ** 21 + (random.uint32() >>> 11)) / 2 ** 53) * all);
          if (!taken.has(k) && !make(k).same) taken.add(k);
        }
        for (const k of taken) pairs.push(make(k));
      }
    }
  }
  return pairs;
}

/** Places, in the list of {@link pairAt}, of the pairs with equal labels. */
function matedPairs(images: readonly { readonly label: number }[]): Float64Array {
  const byLabel = new Map<number, number[]>();
  for (const [i, { label }] of images.entries()) {
    const list = byLabel.get(label);
    if (list === undefined) byLabel.set(label, [i]);
    else list.push(i);
  }
  const places: number[] = [];
  for (const list of byLabel.values()) {
    for (const [n, i] of list.entries()) for (const j of list.slice(0, n)) places.push((i * (i - 1)) / 2 + j);
  }
  return Float64Array.from(places).sort();
}
