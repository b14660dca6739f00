import { philox4x32 } from '@hyperarc/kernels-cuda/reference';

/** Seeded numbers for made data: Philox4x32-10, a counter for each. */
export class Random {
  private counter = 0;

  constructor(private readonly seed: number) {}

  /** In (0, 1). */
  uniform(): number {
    const [word] = philox4x32([this.counter++, 0, 0, 0], [this.seed >>> 0, 0x48454144]);
    return (word + 0.5) / 2 ** 32;
  }

  /** N(0, 1), Box–Muller. */
  normal(): number {
    return Math.sqrt(-2 * Math.log(this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** In [0, count). */
  integer(count: number): number {
    return Math.floor(this.uniform() * count);
  }
}
