/**
 * Images here are RGB bytes [size, size, 3], row by row. Every function returns a new array, or its input where nothing
 * changes; none writes into its input.
 */
export type Pixels = Uint8Array;

/** Both ends included. */
export type Range = readonly [low: number, high: number];

/** Side of the aligned faces that strengths given in pixels are meant for; other sizes scale them by size/112. */
export const ALIGNED_SIDE = 112;

/** Nearest byte. */
export const toByte = (value: number): number => (value <= 0 ? 0 : value >= 255 ? 255 : Math.floor(value + 0.5));

/** Byte by cutting the fraction off, as a cast to uint8 does after a clamp. */
export const truncateByte = (value: number): number => (value <= 0 ? 0 : value >= 255 ? 255 : Math.floor(value));
