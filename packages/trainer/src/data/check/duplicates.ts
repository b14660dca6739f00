import { DIGEST_WORDS, STATE, type InspectedImages } from './inspectImages.js';
import { nearPairs } from './nearPairs.js';
import { HASH_WORDS } from './perceptualHash.js';

/** Images that are the same picture, or nearly. */
export interface DuplicateGroup {
  /** Ascending. */
  readonly images: readonly number[];
  /** They show more than one identity. */
  readonly isAcross: boolean;
}

/** An image of an evaluation set that is in the training set too. */
export interface Overlap {
  /** Of the evaluation set. */
  readonly image: number;
  /** The training image nearest to it. */
  readonly trainingImage: number;
  /** Bits that differ, or 'identical' for the same bytes. */
  readonly distance: number | 'identical';
}

export interface Duplicates {
  /** Files of the same bytes. */
  readonly exact: readonly DuplicateGroup[];
  /** Different files linked by pairs at most `distance` bits apart, with the copies of each. */
  readonly near: readonly DuplicateGroup[];
  /** Pairs of different training files at most `distance` bits apart. */
  readonly nearPairs: number;
  /** For each evaluation set, in the order of its images. */
  readonly overlaps: readonly (readonly Overlap[])[];
}

/**
 * Finds duplicates within a training set, and images of evaluation sets in it. Damaged images take no part, and blank ones only as files of the
 * same bytes.
 * @param distance Bits of 256 by which near-duplicates may differ, 0 to MAX_SEARCH_DISTANCE.
 */
export function findDuplicates(
  training: InspectedImages,
  evaluation: readonly InspectedImages[],
  distance: number,
): Duplicates {
  const all = new Members([training, ...evaluation]);
  const exact: DuplicateGroup[] = [];
  const overlaps = evaluation.map(() => new Map<number, Overlap>());
  const meet = (trainingImage: number, member: number, bits: number | 'identical') => {
    const [set, image] = [all.sets[member]! - 1, all.images[member]!];
    const found = overlaps[set]!.get(image);
    if (found === undefined || rank(bits) < rank(found.distance))
      overlaps[set]!.set(image, { image, trainingImage, distance: bits });
  };

  const copies = groupEqual(all.count, DIGEST_WORDS, (member) => all.digestAt(member));
  for (const group of copies) {
    const here = group.filter((member) => all.sets[member] === 0);
    if (here.length > 1)
      exact.push(
        groupOf(
          training,
          here.map((member) => all.images[member]!),
        ),
      );
    if (here.length === 0) continue;
    for (const member of group) if (all.sets[member] !== 0) meet(all.images[here[0]!]!, member, 'identical');
  }

  // One file of each content, then one hash of each value: what is searched has no equals.
  const files = copies.filter((group) => all.stateOf(group[0]!) === STATE.whole);
  const buckets = groupEqual(files.length, HASH_WORDS, (file) => all.hashAt(files[file]![0]!));
  const hashes = new Uint32Array(buckets.length * HASH_WORDS);
  for (const [i, [file]] of buckets.entries()) {
    const [words, at] = all.hashAt(files[file!]![0]!);
    hashes.set(words.subarray(at, at + HASH_WORDS), i * HASH_WORDS);
  }
  const trainingFiles = buckets.map((bucket) => bucket.filter((file) => all.sets[files[file]![0]!] === 0));
  const isMixed = buckets.map((bucket) => bucket.some((file) => files[file]!.some((member) => all.sets[member] !== 0)));
  const linked = new DisjointSets(files.length);
  let pairs = 0;
  const cross = (from: number, to: number, bits: number) => {
    if (!isMixed[to]) return;
    for (const own of trainingFiles[from]!) {
      for (const file of buckets[to]!) {
        if (file === own) continue;
        for (const member of files[file]!) if (all.sets[member] !== 0) meet(all.images[files[own]![0]!]!, member, bits);
      }
    }
  };
  for (const [i, own] of trainingFiles.entries()) {
    pairs += (own.length * (own.length - 1)) / 2;
    for (const file of own) linked.join(own[0]!, file);
    cross(i, i, 0);
  }
  nearPairs(hashes, distance, (i, j, bits) => {
    const [a, b] = [trainingFiles[i]!, trainingFiles[j]!];
    if (a.length > 0 && b.length > 0) linked.join(a[0]!, b[0]!);
    pairs += a.length * b.length;
    // Not the other way round: hashes of training images come first, and an image that has the hash of one is nearest to that.
    cross(i, j, bits);
  });

  const near = linked.groups().map((group) =>
    groupOf(
      training,
      group.flatMap((file) =>
        files[file]!.filter((member) => all.sets[member] === 0).map((member) => all.images[member]!),
      ),
    ),
  );
  return {
    exact: exact.sort(byFirst),
    near: near.sort(byFirst),
    nearPairs: pairs,
    overlaps: overlaps.map((found) => [...found.values()].sort((a, b) => a.image - b.image)),
  };
}

const rank = (bits: number | 'identical'): number => (bits === 'identical' ? -1 : bits);
const byFirst = (a: DuplicateGroup, b: DuplicateGroup): number => a.images[0]! - b.images[0]!;

function groupOf(training: InspectedImages, images: number[]): DuplicateGroup {
  images.sort((a, b) => a - b);
  return { images, isAcross: images.some((image) => training.owners[image] !== training.owners[images[0]!]) };
}

/** The images of several sets, without the damaged ones, under one numbering: training images first. */
class Members {
  readonly count: number;
  readonly sets: Uint16Array;
  readonly images: Uint32Array;

  constructor(private readonly inspected: readonly InspectedImages[]) {
    const whole = inspected.map(({ states }) =>
      states.reduce((sum, state) => sum + (state === STATE.damaged ? 0 : 1), 0),
    );
    this.count = whole.reduce((sum, images) => sum + images, 0);
    this.sets = new Uint16Array(this.count);
    this.images = new Uint32Array(this.count);
    let member = 0;
    for (const [set, { states }] of inspected.entries()) {
      for (let image = 0; image < states.length; image++) {
        if (states[image] === STATE.damaged) continue;
        this.sets[member] = set;
        this.images[member++] = image;
      }
    }
  }

  stateOf(member: number): number {
    return this.inspected[this.sets[member]!]!.states[this.images[member]!]!;
  }

  digestAt(member: number): [words: Uint32Array, at: number] {
    return [this.inspected[this.sets[member]!]!.digests, this.images[member]! * DIGEST_WORDS];
  }

  hashAt(member: number): [words: Uint32Array, at: number] {
    return [this.inspected[this.sets[member]!]!.hashes, this.images[member]! * HASH_WORDS];
  }
}

/** Groups whole numbers below `count` by equal words; groups and their members ascend. */
function groupEqual(count: number, words: number, at: (item: number) => [words: Uint32Array, at: number]): number[][] {
  const compare = (x: number, y: number): number => {
    const [[a, i], [b, j]] = [at(x), at(y)];
    for (let word = 0; word < words; word++)
      if (a[i + word] !== b[j + word]) return a[i + word]! < b[j + word]! ? -1 : 1;
    return 0;
  };
  const order = Uint32Array.from({ length: count }, (_, i) => i).sort((x, y) => compare(x, y) || x - y);
  const groups: number[][] = [];
  for (const item of order) {
    const last = groups.at(-1);
    if (last !== undefined && compare(last[0]!, item) === 0) last.push(item);
    else groups.push([item]);
  }
  return groups.sort((a, b) => a[0]! - b[0]!);
}

/** Disjoint sets with path halving; the smaller number is the root. */
class DisjointSets {
  private readonly parents: Uint32Array;

  constructor(count: number) {
    this.parents = Uint32Array.from({ length: count }, (_, i) => i);
  }

  join(a: number, b: number): void {
    const [x, y] = [this.rootOf(a), this.rootOf(b)];
    this.parents[Math.max(x, y)] = Math.min(x, y);
  }

  /** The sets of two members and more. */
  groups(): number[][] {
    const sets = new Map<number, number[]>();
    for (let i = 0; i < this.parents.length; i++) {
      const root = this.rootOf(i);
      if (root === i) continue;
      const set = sets.get(root);
      if (set === undefined) sets.set(root, [root, i]);
      else set.push(i);
    }
    return [...sets.values()];
  }

  private rootOf(item: number): number {
    let at = item;
    while (this.parents[at] !== at) {
      this.parents[at] = this.parents[this.parents[at]!]!;
      at = this.parents[at]!;
    }
    return at;
  }
}
