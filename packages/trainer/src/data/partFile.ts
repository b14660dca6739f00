import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

/** One read; Linux moves at most 2³¹ − 4096 bytes in a call. */
const CHUNK_BYTES = 1 << 30;

/** Those that nobody disposes of, since their readers live as long as someone holds them. */
const forgotten = new FinalizationRegistry<number>(closeSync);

/** A file of which parts are read: it may be far larger than memory. Closed when it is disposed of, or collected. */
export class PartFile implements Disposable {
  readonly bytes: number;
  private readonly file: number;

  /**
   * @param kind what the file should be, for errors.
   * @throws HyperArcError E_FORMAT for a file that cannot be opened.
   */
  constructor(
    readonly path: string,
    kind: string,
  ) {
    try {
      this.file = openSync(path, 'r');
    } catch (cause) {
      const reason = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message;
      throw new HyperArcError('E_FORMAT', `${path}: expected a readable ${kind}, received ${reason}; check the path`, {
        cause,
      });
    }
    this.bytes = fstatSync(this.file).size;
    forgotten.register(this, this.file, this);
  }

  /** @throws HyperArcError E_FORMAT naming the place: the file ends before. */
  read(at: number, length: number): Buffer {
    if (!(at >= 0 && at + length <= this.bytes)) this.failShort(at, length);
    return this.readInto(Buffer.allocUnsafe(length), at);
  }

  /** Fills `bytes` with what stands at `at`. Errors: those of {@link read}. */
  readInto<T extends Uint8Array>(bytes: T, at: number): T {
    for (let done = 0; done < bytes.length;) {
      const count = readSync(this.file, bytes, done, Math.min(CHUNK_BYTES, bytes.length - done), at + done);
      if (count === 0) this.failShort(at + done, bytes.length - done);
      done += count;
    }
    return bytes;
  }

  [Symbol.dispose](): void {
    forgotten.unregister(this);
    closeSync(this.file);
  }

  private failShort(at: number, length: number): never {
    const fix = 'the file is cut short or another than was indexed';
    const expected = `${length} bytes at byte ${at}`;
    throw new HyperArcError('E_FORMAT', `${this.path}: expected ${expected}, received the end of the file; ${fix}`);
  }
}

/** Reads a file out of a window that moves on: for visiting part after part. */
export class ReadAhead {
  private start = 0;
  private window: Buffer = Buffer.alloc(0);

  constructor(
    readonly file: PartFile,
    private readonly windowBytes: number,
  ) {}

  /** Not a copy. Errors: those of {@link PartFile.read}. */
  read(at: number, length: number): Buffer {
    if (length > this.windowBytes) return this.file.read(at, length);
    if (at < this.start || at + length > this.start + this.window.length) {
      this.window = this.file.read(at, Math.max(length, Math.min(this.windowBytes, this.file.bytes - at)));
      this.start = at;
    }
    return this.window.subarray(at - this.start, at - this.start + length);
  }
}
