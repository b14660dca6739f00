import type { ByteReader } from './byteReader.js';

/** Python's own limit on decimal text of an int (sys.int_info): converting takes time quadratic in the digits. */
const MAX_DIGITS = 4300;
/** Longest binary int. None that a data file holds comes near. */
const MAX_INT_BYTES = 4096;

/** A Python int: a number where that is exact, else a bigint. */
export function exactInteger(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Little-endian two's complement of any length; no bytes are 0. */
export function binaryInteger(reader: ByteReader, length: number): number | bigint {
  if (length < 0 || length > MAX_INT_BYTES) reader.fail(`an int of at most ${MAX_INT_BYTES} bytes`, `${length}`);
  const bytes = reader.take(length);
  if (length === 0) return 0;
  const hex = Buffer.from(bytes).reverse().toString('hex');
  return exactInteger(BigInt.asIntN(8 * length, BigInt(`0x${hex}`)));
}

/** `12` of INT, `12L` of LONG. */
export function decimalInteger(reader: ByteReader, text: string): number | bigint {
  const digits = text.trim().replace(/L$/, '');
  if (digits.length > MAX_DIGITS || !/^[+-]?\d+$/.test(digits)) {
    reader.fail(`an int of at most ${MAX_DIGITS} digits`, `${text.length} other characters`);
  }
  const magnitude = BigInt(digits.replace(/^[+-]/, ''));
  return exactInteger(digits.startsWith('-') ? -magnitude : magnitude);
}

/** Text of FLOAT: `1.5`, `-1e-05`, `inf`, `nan`. */
export function decimalFloat(reader: ByteReader, text: string): number {
  const trimmed = text.trim().toLowerCase();
  const special: Record<string, number> = { nan: NaN, '-nan': NaN, inf: Infinity, '-inf': -Infinity };
  if (Object.hasOwn(special, trimmed)) return special[trimmed]!;
  if (trimmed.length > MAX_DIGITS || !/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/.test(trimmed)) {
    reader.fail('a float', `${text.length} other characters`);
  }
  return Number(trimmed);
}
