import { HASH_BITS, HASH_WORDS, popcount } from './perceptualHash.js';

/** Up to here searching is worth it: every bit more makes a band narrower and its buckets fuller. */
export const MAX_SEARCH_DISTANCE = 32;

/**
 * Calls `onPair` once for every two hashes at most `distance` bits apart, without comparing all with all: multi-index hashing (Norouzi, Punjani
 * and Fleet, Fast Search in Hamming Space with Multi-Index Hashing, CVPR 2012) with one band more than bits may differ. Of such bands one at
 * least is equal in both, so only hashes that share a band's bits are compared. The result is that of comparing all pairs: about
 * (distance + 1) · N² / 2^(256/(distance + 1)) / 2 comparisons where bits are random, more where they are not.
 * Hashes should be different from one another: k equal ones are k²/2 pairs.
 * @param hashes [N, HASH_WORDS].
 * @param distance From 0 to MAX_SEARCH_DISTANCE bits.
 * @param onPair Two indices, the first below the second, and the bits that differ; in no order.
 */
export function nearPairs(
  hashes: Uint32Array,
  distance: number,
  onPair: (first: number, second: number, distance: number) => void,
): void {
  const count = hashes.length / HASH_WORDS;
  const masks: Uint32Array[] = [];
  for (let band = 0; band <= distance; band++) {
    // Every (distance + 1)th bit: neighbouring frequencies, which faces have in common, are in different bands.
    const bits: number[] = [];
    for (let bit = band; bit < HASH_BITS; bit += distance + 1) bits.push(bit);
    masks.push(maskOf(bits));
    const { starts, order } = bucketsOf(hashes, bits, count);
    let rows = new Uint32Array(0);
    for (let bucket = 0; bucket + 1 < starts.length; bucket++) {
      const [start, size] = [starts[bucket]!, starts[bucket + 1]! - starts[bucket]!];
      if (size < 2) continue;
      // Side by side in memory, or every comparison would wait for it.
      if (rows.length < size * HASH_WORDS) rows = new Uint32Array(2 * size * HASH_WORDS);
      for (let i = 0; i < size; i++) {
        for (let word = 0, from = order[start + i]! * HASH_WORDS; word < HASH_WORDS; word++)
          rows[i * HASH_WORDS + word] = hashes[from + word]!;
      }
      for (let i = 1; i < size; i++) {
        for (let j = 0; j < i; j++) {
          const bits = apart(rows, i * HASH_WORDS, j * HASH_WORDS, distance);
          if (bits > distance || !isFirstMeeting(rows, i * HASH_WORDS, j * HASH_WORDS, masks)) continue;
          onPair(order[start + j]!, order[start + i]!, bits);
        }
      }
    }
  }
}

/** Bits that differ; no more than the first number above `limit` that is met. */
function apart(rows: Uint32Array, a: number, b: number, limit: number): number {
  let bits = 0;
  for (let word = 0; word < HASH_WORDS && bits <= limit; word++) bits += popcount(rows[a + word]! ^ rows[b + word]!);
  return bits;
}

/** Whether the last band is equal in both and none before it is: pairs that meet in several bands are told once, those that share a bucket only, never. */
function isFirstMeeting(rows: Uint32Array, a: number, b: number, masks: readonly Uint32Array[]): boolean {
  const isEqual = (mask: Uint32Array) => mask.every((bits, word) => ((rows[a + word]! ^ rows[b + word]!) & bits) === 0);
  return masks.findIndex(isEqual) === masks.length - 1;
}

function maskOf(bits: readonly number[]): Uint32Array {
  const mask = new Uint32Array(HASH_WORDS);
  for (const bit of bits) mask[bit >>> 5]! |= 1 << (bit & 31);
  return mask;
}

/**
 * Sorts hashes into buckets by a mix of some of their bits; equal bits share a bucket, others may.
 * @returns The members of bucket b: order[starts[b]] … order[starts[b + 1] − 1], ascending.
 */
function bucketsOf(
  hashes: Uint32Array,
  bits: readonly number[],
  count: number,
): { starts: Uint32Array; order: Uint32Array } {
  // No more buckets than hashes, about: empty ones cost time, too.
  const width = Math.min(bits.length, Math.max(1, Math.ceil(Math.log2(count + 1))));
  const buckets = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    let key = 0;
    // Of more than 32 bits the earlier ones stay in the key by this multiplication: FNV's prime.
    for (const bit of bits)
      key = Math.imul(key, 2 ** 24 + 0x193) ^ ((hashes[i * HASH_WORDS + (bit >>> 5)]! >>> (bit & 31)) & 1);
    // Fibonacci hashing: the high bits of the product depend on every bit of the key.
    buckets[i] = Math.imul(key, 0x9e3779b1) >>> (32 - width);
  }
  const starts = new Uint32Array(2 ** width + 1);
  for (const bucket of buckets) starts[bucket + 1]!++;
  for (let i = 1; i < starts.length; i++) starts[i]! += starts[i - 1]!;
  const next = starts.slice();
  const order = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[next[buckets[i]!]!++] = i;
  return { starts, order };
}
