/** Side of the picture that is hashed, in pixels. */
export const HASHED_SIDE = 32;
/** Side of the block of lowest frequencies that is kept. */
const KEPT = 16;
/** Bits of a hash, one a frequency. */
export const HASH_BITS = KEPT * KEPT;
/** 32-bit words of a hash. */
export const HASH_WORDS = HASH_BITS / 32;

/** Rows of the DCT-II: basis[k · 32 + n] = cos(π (2n + 1) k / 64). */
const BASIS = Float64Array.from({ length: KEPT * HASHED_SIDE }, (_, i) => {
  const [k, n] = [Math.floor(i / HASHED_SIDE), i % HASHED_SIDE];
  return Math.cos((Math.PI * (2 * n + 1) * k) / (2 * HASHED_SIDE));
});

/** Grey levels, Rec. 601: 0.299 R + 0.587 G + 0.114 B. @param rgb bytes [32, 32, 3]. @returns [32, 32], 0…255. */
export function greyLevels(rgb: Uint8Array): Float64Array {
  const grey = new Float64Array(HASHED_SIDE * HASHED_SIDE);
  for (let i = 0; i < grey.length; i++)
    grey[i] = 0.299 * rgb[3 * i]! + 0.587 * rgb[3 * i + 1]! + 0.114 * rgb[3 * i + 2]!;
  return grey;
}

/** Standard deviation of the grey levels. Below about 2 a picture shows nothing, and its hash is rounding noise. */
export function contrastOf(grey: Float64Array): number {
  let [sum, squares] = [0, 0];
  for (const value of grey) {
    sum += value;
    squares += value * value;
  }
  return Math.sqrt(Math.max(0, squares / grey.length - (sum / grey.length) ** 2));
}

/**
 * The DCT hash of Zauner (Implementation and Benchmarking of Perceptual Image Hash Functions, 2010) with 16 × 16 instead of 8 × 8 frequencies,
 * since aligned faces share their lowest ones: bit 16 j + k tells whether the coefficient of vertical frequency j and horizontal frequency k is
 * above the median of them all. The mean (j = k = 0) takes no part; its bit is 0.
 * @param grey [32, 32].
 * @param hash receives HASH_WORDS words from `at` on, bit i in word i/32 at i mod 32.
 */
export function perceptualHash(grey: Float64Array, hash: Uint32Array, at = 0): void {
  // Across each row, transposed, then down.
  const rows = new Float64Array(KEPT * HASHED_SIDE);
  for (let k = 0; k < KEPT; k++) {
    for (let y = 0; y < HASHED_SIDE; y++) {
      let sum = 0;
      for (let x = 0; x < HASHED_SIDE; x++) sum += grey[y * HASHED_SIDE + x]! * BASIS[k * HASHED_SIDE + x]!;
      rows[k * HASHED_SIDE + y] = sum;
    }
  }
  const coefficients = new Float64Array(HASH_BITS);
  for (let j = 0; j < KEPT; j++) {
    for (let k = 0; k < KEPT; k++) {
      let sum = 0;
      for (let y = 0; y < HASHED_SIDE; y++) sum += rows[k * HASHED_SIDE + y]! * BASIS[j * HASHED_SIDE + y]!;
      coefficients[KEPT * j + k] = sum;
    }
  }
  const median = coefficients.slice(1).sort()[(HASH_BITS - 2) / 2]!; // of 255 numbers
  hash.fill(0, at, at + HASH_WORDS);
  for (let i = 1; i < HASH_BITS; i++) {
    if (coefficients[i]! > median) hash[at + (i >>> 5)]! |= 1 << (i & 31);
  }
}

/** Number of 1 bits of a 32-bit word. */
export function popcount(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
