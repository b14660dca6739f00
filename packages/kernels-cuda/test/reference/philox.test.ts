import { describe, expect, it } from 'vitest';
import type { Words2, Words4 } from '../../dist/reference/index.js';
import { philox4x32, seedRows } from '../../dist/reference/index.js';

const ONES = 0xffffffff;

describe('Philox4x32-10', () => {
  // Random123's kat_vectors.
  it.each<[Words4, Words2, Words4]>([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [ONES, ONES, ONES, ONES],
      [ONES, ONES],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ])('known answer %#', (counter, key, expected) => {
    expect(philox4x32(counter, key)).toEqual(expected);
  });
});

describe('seeding', () => {
  it('gives a row the same values whichever range it is asked in', () => {
    const all = seedRows(7n, 0.01, 0, 9, 6);
    expect(seedRows(7n, 0.01, 4, 3, 6)).toEqual(all.slice(4 * 6, 7 * 6));
  });

  it('gives a longer row the shorter one as its start', () => {
    expect(seedRows(7n, 0.01, 5, 1, 11).slice(0, 6)).toEqual(seedRows(7n, 0.01, 5, 1, 6));
  });

  it('depends on the high halves of seed and row', () => {
    const plain = seedRows(7n, 1, 0, 1, 4);
    expect(seedRows(7n + 2n ** 32n, 1, 0, 1, 4)).not.toEqual(plain);
    expect(seedRows(7n, 1, 2 ** 32, 1, 4)).not.toEqual(plain);
  });

  it('is N(0, stddev²)', () => {
    const values = Array.from(seedRows(3n, 0.01, 0, 64, 64), (value) => value / 0.01);
    const moment = (power: number) => values.reduce((sum, value) => sum + value ** power, 0) / values.length;
    // Four standard errors of each moment at 4096 draws.
    expect(Math.abs(moment(1))).toBeLessThan(4 / 64);
    expect(Math.abs(moment(2) - 1)).toBeLessThan((4 * Math.sqrt(2)) / 64);
    expect(Math.abs(moment(4) - 3)).toBeLessThan((4 * Math.sqrt(96)) / 64);
  });
});
