import type { CosineBlock } from './cosineBlocks.js';

/** Cosines of some probes to some rows, each named by its number. */
export interface ScatteredBlock {
  readonly probes: Int32Array;
  readonly rows: Int32Array;
  /** [probes, stride] row by row, of which the first `rows.length` columns count. */
  readonly cosines: Float32Array;
  readonly stride: number;
}

/** The k largest cosines of each probe so far; of equal ones the lower row number is before. The order in which rows are added is all the same. */
export class TopK {
  /** [probes, k]; −1 where there are fewer than k */
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
        // Hardly any row gets past this line, which is all that most of them cost.
        if (cosine < least || !this.isBetter(cosine, firstRow + j, last)) continue;
        this.insert(last, cosine, firstRow + j);
        least = best[last]!;
      }
    }
  }

  addScattered({ probes, rows, cosines, stride }: ScatteredBlock): void {
    const { k, cosines: best } = this;
    for (let i = 0; i < probes.length; i++) {
      const last = (probes[i]! + 1) * k - 1;
      const base = i * stride;
      let least = best[last]!;
      for (let j = 0; j < rows.length; j++) {
        const cosine = cosines[base + j]!;
        if (cosine < least || !this.isBetter(cosine, rows[j]!, last)) continue;
        this.insert(last, cosine, rows[j]!);
        least = best[last]!;
      }
    }
  }

  /** Whether a row comes before the one at `place`. */
  private isBetter(cosine: number, index: number, place: number): boolean {
    const other = this.cosines[place]!;
    return cosine > other || (cosine === other && index < this.indices[place]!);
  }

  /** Puts a row that is better than the last one where it belongs; the last one falls out. */
  private insert(last: number, cosine: number, index: number): void {
    const { indices, cosines } = this;
    const first = last - this.k + 1;
    let at = last;
    for (; at > first && this.isBetter(cosine, index, at - 1); at--) {
      cosines[at] = cosines[at - 1]!;
      indices[at] = indices[at - 1]!;
    }
    cosines[at] = cosine;
    indices[at] = index;
  }
}
