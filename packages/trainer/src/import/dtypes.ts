import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

/** Element types of foreign weights. */
export type ForeignDtype =
  'float16' | 'bfloat16' | 'float32' | 'float64' | 'int8' | 'uint8' | 'bool' | 'int16' | 'int32' | 'int64';

/** Bytes of an element. */
export const DTYPE_BYTES: Readonly<Record<ForeignDtype, number>> = {
  float16: 2,
  bfloat16: 2,
  float32: 4,
  float64: 8,
  int8: 1,
  uint8: 1,
  bool: 1,
  int16: 2,
  int32: 4,
  int64: 8,
};

/** An IEEE 754 binary16 as a number. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

let halves: Float32Array | undefined;

/**
 * Little-endian elements as float32; float64 is rounded.
 * @throws HyperArcError E_DTYPE for types that weights do not have.
 */
export function toFloat32(dtype: ForeignDtype, bytes: Uint8Array, name: string): Float32Array {
  const count = bytes.length / DTYPE_BYTES[dtype];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Float32Array(count);
  switch (dtype) {
    case 'float32':
      new Uint8Array(values.buffer).set(bytes);
      return values;
    case 'float64':
      for (let i = 0; i < count; i++) values[i] = view.getFloat64(8 * i, true);
      return values;
    case 'bfloat16': {
      // A bfloat16 is the upper half of a float32.
      const words = new Uint32Array(values.buffer);
      for (let i = 0; i < count; i++) words[i] = view.getUint16(2 * i, true) << 16;
      return values;
    }
    case 'float16':
      halves ??= Float32Array.from({ length: 1 << 16 }, (_, bits) => halfToNumber(bits));
      for (let i = 0; i < count; i++) values[i] = halves[view.getUint16(2 * i, true)]!;
      return values;
    default:
      throw new HyperArcError(
        'E_DTYPE',
        `${name}: expected weights of float16, bfloat16, float32 or float64, received ${dtype}`,
      );
  }
}
