import { philox4x32, type Words2, type Words4 } from '@hyperarc/kernels-cuda/reference';

/** Fourth counter word of every draw ("ELAS"), which keeps them apart from seeding's, rounding's and the sampler's. */
const STREAM = 0x454c4153;

/** Low and high 32 bits of an integer in [0, 2⁵³). */
function words(value: number): Words2 {
  return [value % 2 ** 32, Math.floor(value / 2 ** 32)];
}

/**
 * `count` independent N(0, 1) numbers of step `step`: Philox4x32-10 on (block of four, step, stream) keyed by the seed, and Box and
 * Muller. They depend on seed, step and position alone.
 */
export function normalNumbers(seed: number, step: number, count: number): Float64Array {
  const numbers = new Float64Array(count);
  for (let block = 0; 4 * block < count; block++) {
    const counter: Words4 = [block, ...words(step), STREAM];
    const uniforms = philox4x32(counter, words(seed)).map((word) => (word + 0.5) / 2 ** 32);
    for (let e = 0; e < 4 && 4 * block + e < count; e++) {
      const pair = e - (e % 2);
      const angle = 2 * Math.PI * uniforms[pair + 1]!;
      const radius = Math.sqrt(-2 * Math.log(uniforms[pair]!));
      numbers[4 * block + e] = radius * (e % 2 === 0 ? Math.cos(angle) : Math.sin(angle));
    }
  }
  return numbers;
}
