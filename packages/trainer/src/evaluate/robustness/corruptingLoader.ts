import type { CorruptionName, Severity } from '../../data/index.js';
import { DecodePool } from '../../data/decodePool.js';
import { PIXEL_TO_UNIT } from '../../data/loadImages.js';
import { crc32c } from '../../metrics/crc32c.js';
import type { ImageLoader } from '../embed.js';

/** Corrupts what a loader loads, on threads of its own; close it when done. */
export class CorruptingLoader {
  private readonly pool: DecodePool;

  constructor(
    private readonly load: ImageLoader,
    private readonly seed: number,
    workers?: number,
  ) {
    this.pool = new DecodePool(workers);
  }

  /** A loader of corrupted images. An image's draws are named by the last two parts of its path, wherever the folder lies. */
  with(name: CorruptionName, severity: Severity): ImageLoader {
    return async (paths, imageSize) => {
      const values = await this.load(paths, imageSize);
      const imageValues = imageSize * imageSize * 3;
      const share = Math.max(1, Math.ceil(paths.length / this.pool.size));
      const parts: Promise<void>[] = [];
      for (let first = 0; first < paths.length; first += share) {
        const keys = paths.slice(first, first + share).map(imageKey);
        const part = values.subarray(first * imageValues, (first + keys.length) * imageValues);
        // Undoes the scaling to [−1, 1] exactly.
        const bytes = Uint8Array.from(part, (value) => Math.round((value * 0.5 + 0.5) * 255));
        const change = { corrupt: { name, severity, seed: this.seed, keys } };
        parts.push(
          this.pool.change(bytes, imageSize, change).then((corrupted) => {
            for (let i = 0; i < corrupted.length; i++) part[i] = PIXEL_TO_UNIT[corrupted[i]!]!;
          }),
        );
      }
      for (const result of await Promise.allSettled(parts)) if (result.status === 'rejected') throw result.reason;
      return values;
    };
  }

  close(): Promise<void> {
    return this.pool.close();
  }
}

const imageKey = (path: string): number => crc32c(Buffer.from(path.split('/').slice(-2).join('/')));
