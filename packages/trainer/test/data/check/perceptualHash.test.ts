import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  contrastOf,
  greyLevels,
  HASH_WORDS,
  HASHED_SIDE,
  perceptualHash,
  popcount,
} from '../../../dist/data/check/perceptualHash.js';

/** The pictures of make_hashes.py. */
function picture(number: number): Float64Array {
  return Float64Array.from({ length: HASHED_SIDE ** 2 }, (_, i) => {
    const [x, y] = [i % HASHED_SIDE, Math.floor(i / HASHED_SIDE)];
    const step = x * (3 + number) + y * (7 - number);
    const period = 11 + 2 * number;
    const square = Math.abs(x - 12) < 6 + (number % 3) && Math.abs(y - 18) < 7 ? 90 : 0;
    const edge = x + 2 * y > 30 + 3 * number ? 40 : 0;
    return (step % period) + square + edge + ((x * x * 31 + y * y * 17 + x * y * (number + 1)) % 29);
  });
}

const hashOf = (grey: Float64Array): Uint32Array => {
  const hash = new Uint32Array(HASH_WORDS);
  perceptualHash(grey, hash);
  return hash;
};
const hex = (hash: Uint32Array): string =>
  Array.from(hash, (word) => Buffer.from(Uint32Array.of(word).buffer).toString('hex')).join('');

describe('perceptualHash', () => {
  it('has the bits of an independent DCT', () => {
    const expected = JSON.parse(readFileSync(join(import.meta.dirname, 'hashes.json'), 'utf8')) as string[];
    expect(expected.map((_, number) => hex(hashOf(picture(number))))).toEqual(expected);
  });

  it('writes where it is told, and nowhere else', () => {
    const hashes = new Uint32Array(3 * HASH_WORDS).fill(7);
    perceptualHash(picture(1), hashes, HASH_WORDS);
    expect([...hashes.subarray(0, HASH_WORDS), ...hashes.subarray(2 * HASH_WORDS)]).toEqual(
      Array(2 * HASH_WORDS).fill(7),
    );
    expect(hashes.subarray(HASH_WORDS, 2 * HASH_WORDS)).toEqual(hashOf(picture(1)));
  });

  it('does not see brightness and contrast', () => {
    expect(hashOf(picture(2).map((grey) => 0.5 * grey + 40))).toEqual(hashOf(picture(2)));
  });
});

it('greyLevels weighs the channels as Rec. 601 does, contrastOf is their standard deviation', () => {
  const rgb = new Uint8Array(HASHED_SIDE ** 2 * 3);
  rgb.set([255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255]);
  const grey = greyLevels(rgb);
  expect([...grey.subarray(0, 5)]).toEqual([76.245, 149.685, 29.07, 255, 0].map((value) => expect.closeTo(value, 9)));
  expect(contrastOf(grey)).toBeCloseTo(
    Math.sqrt((76.245 ** 2 + 149.685 ** 2 + 29.07 ** 2 + 255 ** 2) / 1024 - (510 / 1024) ** 2),
    9,
  );
  expect(contrastOf(new Float64Array(1024).fill(77.7))).toBeLessThan(1e-4);
});

it('popcount counts the bits of any word', () => {
  for (const word of [0, 1, 0x80000000, 0xffffffff, 0x12345678, -1, 0xf0f0f0f1]) {
    expect(popcount(word)).toBe((word >>> 0).toString(2).replaceAll('0', '').length);
  }
});
