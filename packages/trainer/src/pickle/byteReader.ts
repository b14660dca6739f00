import { refuse } from './types.js';

/** Longest string that Node.js makes, 2²⁹ − 24 code units. */
const LONGEST_STRING = 2 ** 29 - 24;
const NEWLINE = 0x0a;

/** Reads a pickle's bytes from front to back, and never past their end. */
export class ByteReader {
  private readonly view: DataView;
  private readonly utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

  constructor(
    private readonly bytes: Uint8Array,
    readonly name: string,
    public at: number,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (!Number.isSafeInteger(at) || at < 0 || at > bytes.length) {
      refuse(name, `offset: a whole number in [0, ${bytes.length}]`, String(at), 'E_RANGE');
    }
  }

  /** @throws HyperArcError E_FORMAT with the place. */
  fail(expected: string, received: string, at = this.at): never {
    refuse(this.name, `${expected} at byte ${at}`, received);
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  /** The place of the next `length` bytes, which it passes. */
  private pass(length: number): number {
    if (length > this.left) this.fail(`${length} bytes`, `${this.left} up to the end; the pickle is cut short`);
    const start = this.at;
    this.at += length;
    return start;
  }

  byte(): number {
    return this.bytes[this.pass(1)]!;
  }
  uint16(): number {
    return this.view.getUint16(this.pass(2), true);
  }
  int32(): number {
    return this.view.getInt32(this.pass(4), true);
  }
  uint32(): number {
    return this.view.getUint32(this.pass(4), true);
  }
  /** A 64-bit length. One above 2⁵³ comes out rounded: too long either way. */
  length64(): number {
    return Number(this.view.getBigUint64(this.pass(8), true));
  }
  /** Big-endian, as pickles keep floats. */
  float64(): number {
    return this.view.getFloat64(this.pass(8), false);
  }

  /** A view of the next `length` bytes, not a copy. */
  take(length: number): Uint8Array {
    const start = this.pass(length);
    return this.bytes.subarray(start, start + length);
  }

  /** The text up to the next newline, which it passes. One character a byte. */
  line(): string {
    const end = this.bytes.indexOf(NEWLINE, this.at);
    if (end === -1) this.fail('a line', 'none up to the end; the pickle is cut short');
    const text = this.latin1(this.take(end - this.at));
    this.at++;
    return text;
  }

  latin1(bytes: Uint8Array): string {
    this.checkLength(bytes);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  }

  decodeUtf8(bytes: Uint8Array): string {
    this.checkLength(bytes);
    try {
      return this.utf8.decode(bytes);
    } catch {
      return this.fail('UTF-8 text', 'other bytes', this.at - bytes.length);
    }
  }

  private checkLength(bytes: Uint8Array): void {
    if (bytes.length > LONGEST_STRING) this.fail(`text of at most ${LONGEST_STRING} bytes`, `${bytes.length}`);
  }
}
