import { HyperArcError } from './errors.js';

/** What a value is, short enough for an error message. */
export function describeValue(value: unknown): string {
  if (ArrayBuffer.isView(value) && 'length' in value)
    return `a ${value.constructor.name} of length ${String(value.length)}`;
  if (Array.isArray(value)) return `an array of length ${value.length}`;
  if (typeof value === 'string') return `'${value.length > 40 ? `${value.slice(0, 40)}…` : value}'`;
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`;
  return String(value);
}

/** @throws HyperArcError E_RANGE unless `value` is an object. */
export function requireObject<T extends object>(name: string, value: T): T {
  if (typeof value !== 'object' || value === null) {
    throw new HyperArcError('E_RANGE', `${name}: expected an object, received ${describeValue(value)}`);
  }
  return value;
}

/** @throws HyperArcError E_RANGE unless `value` is a whole number in [low, high]. */
export function requireInteger(name: string, value: unknown, low: number, high: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < low || value > high) {
    throw new HyperArcError(
      'E_RANGE',
      `${name}: expected a whole number in [${low}, ${high}], received ${describeValue(value)}`,
    );
  }
  return value;
}

/** @throws HyperArcError E_RANGE unless `value` is a finite number in [low, high]. */
export function requireNumber(name: string, value: unknown, low: number, high: number): number {
  if (typeof value !== 'number' || !(value >= low && value <= high) || !Number.isFinite(value)) {
    throw new HyperArcError(
      'E_RANGE',
      `${name}: expected a finite number in [${low}, ${high}], received ${describeValue(value)}`,
    );
  }
  return value;
}

/**
 * A 64-bit unsigned integer given as a number (whole, up to 2^53 − 1) or a bigint: seeds and step counts.
 * @throws HyperArcError E_RANGE
 */
export function requireUint64(name: string, value: unknown): bigint {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return BigInt(value);
  if (typeof value === 'bigint' && value >= 0n && value < 1n << 64n) return value;
  throw new HyperArcError(
    'E_RANGE',
    `${name}: expected a whole number in [0, 2^53) or a bigint in [0, 2^64), received ${describeValue(value)}`,
  );
}

/** A standard deviation: positive, and not zero in fp32. @throws HyperArcError E_RANGE */
export function requireStddev(value: unknown): number {
  return requireNumber('stddev', value, 1e-30, 1e30);
}

/** A partial-FC rate. @throws HyperArcError E_RANGE unless `value` is in (0, 1]. */
export function requireRate(value: unknown): number {
  if (typeof value === 'number' && value > 0 && value <= 1) return value;
  throw new HyperArcError('E_RANGE', `rate: expected a number in (0, 1], received ${describeValue(value)}`);
}

/** Below this a result is taken without a look at the machine. */
const SMALL_BYTES = 2 ** 28;

/**
 * Linux grants memory that it does not have and later kills the process that touches it: a large result is refused before.
 * @throws HyperArcError E_MEMORY
 */
export function requireHostMemory(name: string, bytes: number, fix: string): void {
  if (bytes <= SMALL_BYTES) return;
  const available = process.availableMemory();
  if (bytes <= available) return;
  const expected = `a result that fits in the ${available} bytes available`;
  throw new HyperArcError('E_MEMORY', `${name}: expected ${expected}, received one of ${bytes} bytes; ${fix}`);
}

/** @throws HyperArcError E_DTYPE unless `value` is a Float32Array. */
export function requireFloat32(name: string, value: unknown): Float32Array {
  if (value instanceof Float32Array) return value;
  throw new HyperArcError('E_DTYPE', `${name}: expected a Float32Array, received ${describeValue(value)}`);
}

/** @throws HyperArcError E_DTYPE unless `value` is an Int32Array. */
export function requireInt32(name: string, value: unknown): Int32Array {
  if (value instanceof Int32Array) return value;
  throw new HyperArcError(
    'E_DTYPE',
    `${name}: expected an Int32Array, received ${describeValue(value)}; Int32Array.from(${name}) makes one`,
  );
}

/** @throws HyperArcError E_RANGE unless `value` is one of `choices`. */
export function requireOneOf<T extends string>(name: string, value: unknown, choices: readonly T[]): T {
  if (choices.includes(value as T)) return value as T;
  throw new HyperArcError(
    'E_RANGE',
    `${name}: expected one of ${choices.join(', ')}, received ${describeValue(value)}`,
  );
}
