import { describe, expect, it } from 'vitest';
import { nearPairs } from '../../../dist/data/check/nearPairs.js';
import { HASH_BITS, HASH_WORDS, popcount } from '../../../dist/data/check/perceptualHash.js';
import { KeyedRandom } from '../../../dist/data/index.js';

function bruteForce(hashes: Uint32Array, limit: number): string[] {
  const found: string[] = [];
  for (let i = 0; i < hashes.length / HASH_WORDS; i++) {
    for (let j = 0; j < i; j++) {
      let bits = 0;
      for (let word = 0; word < HASH_WORDS; word++)
        bits += popcount(hashes[i * HASH_WORDS + word]! ^ hashes[j * HASH_WORDS + word]!);
      if (bits <= limit) found.push(`${j}-${i}:${bits}`);
    }
  }
  return found.sort();
}

function search(hashes: Uint32Array, limit: number): string[] {
  const found: string[] = [];
  nearPairs(hashes, limit, (first, second, bits) => found.push(`${first}-${second}:${bits}`));
  return found.sort();
}

/** Random hashes, each third of them an earlier one with 0 to `most` bits turned; `share` of the bits are the same in nearly all. */
function make(count: number, most: number, share: number, seed: number): Uint32Array {
  const random = new KeyedRandom(seed);
  const hashes = new Uint32Array(count * HASH_WORDS);
  const turn = (hash: number, bit: number) => (hashes[hash * HASH_WORDS + (bit >>> 5)]! ^= 1 << (bit & 31));
  for (let i = 0; i < count; i++) {
    if (i % 3 === 2) {
      const from = random.integer(i);
      hashes.copyWithin(i * HASH_WORDS, from * HASH_WORDS, (from + 1) * HASH_WORDS);
      for (let turned = random.integer(most + 1); turned > 0; turned--) turn(i, random.integer(HASH_BITS));
    } else {
      for (let bit = 0; bit < HASH_BITS; bit++) if (random.chance(bit < share * HASH_BITS ? 0.02 : 0.5)) turn(i, bit);
    }
  }
  return hashes;
}

describe('nearPairs', () => {
  it.each([0, 1, 2, 7, 8, 16, 31, 32])('finds what comparing all pairs finds, at most %d bits apart', (limit) => {
    for (const share of [0, 0.6]) {
      const hashes = make(400, 2 * limit + 1, share, limit + 1);
      const expected = bruteForce(hashes, limit);
      expect(expected.length).toBeGreaterThan(20);
      expect(search(hashes, limit)).toEqual(expected);
    }
  });

  it('tells equal hashes once a pair', () => {
    expect(search(new Uint32Array(4 * HASH_WORDS).fill(5), 3)).toHaveLength(6);
  });

  it('finds nothing in nothing', () => {
    expect(search(new Uint32Array(0), 16)).toEqual([]);
    expect(search(new Uint32Array(HASH_WORDS), 16)).toEqual([]);
  });
});
