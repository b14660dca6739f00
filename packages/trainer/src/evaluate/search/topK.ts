import type { CosineBlock } from './cosineBlocks.js';

/** The k largest cosines of each probe so far. Of equal ones the row that was added first stays before: add rows in ascending order. */
export class TopK {
  /** [probes, k] */
  readonly indices: Int32Array;
  /** [probes, k], descending */
  readonly cosines: Float32Array;

  constructor(
    probes: number,
    readonly k: number,
  ) {
    this.indices = new Int32Array(probes * k).fill(-1);
    this.cosines = new Float32Array(probes * k).fill(-Infinity);
  }

  add({ firstProbe, probes, firstRow, rows, cosines, stride }: CosineBlock): void {
    const { k, cosines: best } = this;
    for (let i = 0; i < probes; i++) {
      const last = (firstProbe + i + 1) * k - 1;
      const base = i * stride;
      let least = best[last]!;
      for (let j = 0; j < rows; j++) {
        const cosine = cosines[base + j]!;
        if (!(cosine > least)) continue;
        this.insert(last, cosine, firstRow + j);
        least = best[last]!;
      }
    }
  }

  /** Behind everything that is as large; what was last falls out. */
  private insert(last: number, cosine: number, index: number): void {
    const { indices, cosines } = this;
    const first = last - this.k + 1;
    let at = last;
    for (; at > first && cosines[at - 1]! < cosine; at--) {
      cosines[at] = cosines[at - 1]!;
      indices[at] = indices[at - 1]!;
    }
    cosines[at] = cosine;
    indices[at] = index;
  }
}
