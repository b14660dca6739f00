/**
 * Philox4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11. A counter and a key give four random
 * 32-bit words, with no state between calls.
 */

const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const;
const KEY_STEPS = [0x9e3779b9, 0xbb67ae85] as const;
const ROUNDS = 10;

export type Words4 = readonly [number, number, number, number];
export type Words2 = readonly [number, number];

/** High and low words of the 64-bit product of two 32-bit words. */
function multiply(a: number, b: number): Words2 {
  const low16 = a * (b & 0xffff);
  const high16 = a * (b >>> 16);
  // a·b = high16·2¹⁶ + low16, each part below 2⁴⁸ and exact in a double.
  const carry = Math.floor(low16 / 0x10000) + high16;
  return [Math.floor(carry / 0x10000), Math.imul(a, b) >>> 0];
}

/** Four words in [0, 2³²) for a counter of four words and a key of two. */
export function philox4x32(counter: Words4, key: Words2): Words4 {
  let [c0, c1, c2, c3] = counter.map((word) => word >>> 0) as unknown as [number, number, number, number];
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const [high0, low0] = multiply(MULTIPLIERS[0], c0);
    const [high1, low1] = multiply(MULTIPLIERS[1], c2);
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + KEY_STEPS[0]) >>> 0;
    k1 = (k1 + KEY_STEPS[1]) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** Low and high 32 bits of an unsigned 64-bit number. */
export function words(value: bigint): Words2 {
  return [Number(BigInt.asUintN(32, value)), Number(BigInt.asUintN(32, value >> 32n))];
}
