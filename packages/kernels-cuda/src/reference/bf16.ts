import { philox4x32, words } from './philox.js';

/** Fourth counter words of the draws of stochastic rounding ("ROUN", "ROU2"), which keep them apart from all others. */
const ROUNDING_STREAM = 0x524f554e;
const SECOND_MOMENT_STREAM = 0x524f5532;
const EXPONENT = 0x7f800000;

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

function bitsOf(value: number): number {
  float[0] = value;
  return bits[0]!;
}

/** The bf16 number whose 16 bits are the upper half of `word`. */
function upperHalf(word: number): number {
  bits[0] = word & 0xffff0000;
  return float[0]!;
}

/** The nearest bf16 number to the fp32 number nearest to `value`, ties to even; NaN stays NaN. */
export function roundBf16(value: number): number {
  const word = bitsOf(value);
  if (Number.isNaN(value)) return value;
  return upperHalf(word + 0x7fff + ((word >>> 16) & 1));
}

/**
 * One of the two bf16 numbers around the fp32 number `value`: away from zero with the probability of the cut-off fraction, since
 * `random16` (in [0, 2¹⁶)) is added to the lower half. A finite number never becomes infinite: past the largest bf16 it is cut.
 */
export function roundBf16Stochastic(value: number, random16: number): number {
  const word = bitsOf(value);
  if ((word & EXPONENT) === EXPONENT) return roundBf16(value);
  const rounded = (word + random16) >>> 0;
  return upperHalf((rounded & EXPONENT) === EXPONENT ? word : rounded);
}

function roundingWord(globalRow: number, d: number, roundingStep: bigint, stream: number): number {
  const [rowLow, rowHigh] = words(BigInt(globalRow));
  return philox4x32([rowLow, rowHigh, Math.floor(d / 4), stream], words(roundingStep))[d % 4]!;
}

/** The 16 random bits that round element d of a global row (class·K + k) in an update: of its weight and of its momentum. */
export function roundingBits(globalRow: number, d: number, roundingStep: bigint): { weight: number; momentum: number } {
  const word = roundingWord(globalRow, d, roundingStep, ROUNDING_STREAM);
  return { weight: word & 0xffff, momentum: word >>> 16 };
}

/** The same of AdamW's second moment. */
export function secondMomentBits(globalRow: number, d: number, roundingStep: bigint): number {
  return roundingWord(globalRow, d, roundingStep, SECOND_MOMENT_STREAM) & 0xffff;
}
