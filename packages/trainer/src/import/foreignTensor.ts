import { DTYPE_BYTES, type ForeignDtype, toFloat32 } from './dtypes.js';

/** A tensor of another program's file; its bytes are read when they are asked for. */
export interface ForeignTensor {
  readonly dtype: ForeignDtype;
  readonly shape: readonly number[];
  /**
   * Row-major, as float32.
   * @throws HyperArcError E_DTYPE for types that weights do not have; E_FORMAT where the file is damaged.
   */
  read(): Float32Array;
}

export const elementCount = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

/** Whether row-major order is what the strides (in elements) describe. */
function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis]!;
  }
  return true;
}

/**
 * The elements of a storage that a shape and strides pick, row-major. All of them must lie within the storage.
 * @param bytes of the whole storage. @param offset and `strides`: in elements.
 */
export function gather(
  bytes: Uint8Array,
  dtype: ForeignDtype,
  { offset, shape, strides }: { offset: number; shape: readonly number[]; strides: readonly number[] },
  name: string,
): Float32Array {
  const size = DTYPE_BYTES[dtype];
  const count = elementCount(shape);
  if (isContiguous(shape, strides)) {
    return toFloat32(dtype, bytes.subarray(offset * size, (offset + count) * size), name);
  }
  const storage = toFloat32(dtype, bytes, name);
  const values = new Float32Array(count);
  const index = new Array<number>(shape.length).fill(0);
  for (let i = 0, from = offset; i < count; i++) {
    values[i] = storage[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return values;
}
