import type { ImageDataset } from './dataset.js';
import type { Decoded, DecodeFailure, DecodePool } from './decodePool.js';

/** Decoded images of a dataset, kept in memory where all of them fit. */
export class DecodedImages {
  private readonly imageBytes: number;
  /** [samples, size, size, 3] and which of them are there. */
  private readonly cache: { readonly pixels: Uint8Array; readonly present: Uint8Array } | undefined;

  /** @param cacheBytes 0 keeps none. */
  constructor(
    private readonly dataset: ImageDataset,
    private readonly pool: DecodePool,
    private readonly size: number,
    cacheBytes: number,
  ) {
    const samples = dataset.labels.length;
    this.imageBytes = size * size * 3;
    if (samples * this.imageBytes <= cacheBytes) {
      this.cache = { pixels: new Uint8Array(samples * this.imageBytes), present: new Uint8Array(samples) };
    }
  }

  /** @returns the images in an array of the caller's; failures count in `indices`. */
  async read(indices: Int32Array): Promise<Decoded> {
    if (this.cache === undefined) return this.decode(indices);
    const { pixels, present } = this.cache;
    const { imageBytes } = this;
    const missing = indices.filter((index) => present[index] === 0);
    const { pixels: decoded, failures } = await this.decode(missing);
    const reasons = new Map(failures.map(({ at, reason }) => [missing[at]!, reason]));
    for (const [i, index] of missing.entries()) {
      if (reasons.has(index)) continue;
      pixels.set(decoded.subarray(i * imageBytes, (i + 1) * imageBytes), index * imageBytes);
      present[index] = 1;
    }
    const copy = new Uint8Array(indices.length * imageBytes);
    const failed: DecodeFailure[] = [];
    for (const [at, index] of indices.entries()) {
      const reason = reasons.get(index);
      if (reason !== undefined) failed.push({ at, reason });
      else copy.set(pixels.subarray(index * imageBytes, (index + 1) * imageBytes), at * imageBytes);
    }
    return { pixels: copy, failures: failed };
  }

  private decode(indices: Int32Array): Promise<Decoded> {
    const places = Array.from(indices, (index) => this.dataset.locate(index));
    if (places.length === 0) return Promise.resolve({ pixels: new Uint8Array(0), failures: [] });
    return this.pool.decodeWhole(places, this.size);
  }
}
