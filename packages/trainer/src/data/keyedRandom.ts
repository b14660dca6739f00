import { xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';
import type { JumpableRandomGenerator } from 'pure-rand/types/JumpableRandomGenerator';

/** Finaliser of MurmurHash3 (Appleby): every input bit reaches every output bit. */
function mix32(word: number): number {
  let h = word | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/**
 * A random stream named by a list of whole numbers (for example seed, identity, sample). Equal keys give equal streams,
 * whoever draws them and in whatever order, so that work may be spread over threads without changing its result.
 * Generator: xoroshiro128+ (Blackman and Vigna), its 128-bit state hashed from the keys.
 */
export class KeyedRandom {
  private readonly generator: JumpableRandomGenerator;

  /** @param keys Non-negative safe integers; both 32-bit halves of each count. */
  constructor(...keys: readonly number[]) {
    const state = [0x9e3779b9 | 0, 0x7f4a7c15 | 0, 0xf39cc060 | 0, 0x5cedc834 | 0];
    for (const key of keys) {
      for (const half of [key >>> 0, Math.floor(key / 2 ** 32) >>> 0]) {
        for (let i = 0; i < 4; i++)
          state[i] = mix32((state[i]! ^ half) + Math.imul(i + 1, 0x9e3779b9)) + state[(i + 3) % 4]!;
      }
    }
    this.generator = xoroshiro128plusFromState(state.map((word) => word | 0));
  }

  /** 32 random bits, in [0, 2³²). */
  uint32(): number {
    return this.generator.next() >>> 0;
  }

  /** Uniform in [low, high). */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * (this.uint32() / 2 ** 32);
  }

  /** Uniform whole number in [0, count); the bias of the multiplication method is below count/2³². */
  integer(count: number): number {
    return Math.floor((this.uint32() / 2 ** 32) * count);
  }

  chance(probability: number): boolean {
    return this.uniform() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.integer(items.length)]!;
  }

  /** Normal (mean 0, deviation 1), drawn again until within ±limit. Box–Muller. */
  normal(limit = 4): number {
    for (;;) {
      const radius = Math.sqrt(-2 * Math.log((this.uint32() + 0.5) / 2 ** 32));
      const value = radius * Math.cos(2 * Math.PI * this.uniform());
      if (Math.abs(value) <= limit) return value;
    }
  }

  /** Fisher–Yates, in place. */
  shuffle<T extends { length: number; [index: number]: number | unknown }>(items: T): T {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [items[i], items[j]] = [items[j], items[i]];
    }
    return items;
  }
}
