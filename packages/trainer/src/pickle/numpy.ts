import { asciiText, latin1Bytes } from './globals.js';
import { kindOf, PickleReference, quote, refuse, type PickleGlobal, type PickleGlobals } from './types.js';

/** Bytes of an element, by NumPy's kind and size. */
const ITEM_BYTES: Readonly<Record<string, number>> = {
  b1: 1,
  i1: 1,
  u1: 1,
  i2: 2,
  u2: 2,
  i4: 4,
  u4: 4,
  f4: 4,
  i8: 8,
  u8: 8,
  f8: 8,
};

/** A NumPy dtype of one number or bool. */
export class NumpyDtype {
  littleEndian = true;

  /** @param kind NumPy's kind and bytes: `u1`, `f4`, `b1`. */
  constructor(readonly kind: string) {}

  get itemBytes(): number {
    return ITEM_BYTES[this.kind]!;
  }
}

/** A NumPy array or, without dimensions, a scalar, as a pickle holds it. */
export class NumpyArray {
  dtype = new NumpyDtype('u1');
  shape: readonly number[] = [0];
  /** True: the first index runs fastest. */
  fortranOrder = false;
  /** A view of the pickle's bytes where it can be. Length: elements × bytes of one. */
  bytes: Uint8Array = new Uint8Array(0);

  /** The element as a number; `b1` as 0 or 1. For a scalar index 0. */
  at(index: number): number | bigint {
    const { kind, littleEndian, itemBytes } = this.dtype;
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    const offset = index * itemBytes;
    switch (kind) {
      case 'b1':
      case 'u1':
        return view.getUint8(offset);
      case 'i1':
        return view.getInt8(offset);
      case 'i2':
        return view.getInt16(offset, littleEndian);
      case 'u2':
        return view.getUint16(offset, littleEndian);
      case 'i4':
        return view.getInt32(offset, littleEndian);
      case 'u4':
        return view.getUint32(offset, littleEndian);
      case 'i8':
        return view.getBigInt64(offset, littleEndian);
      case 'u8':
        return view.getBigUint64(offset, littleEndian);
      case 'f4':
        return view.getFloat32(offset, littleEndian);
      case 'f8':
        return view.getFloat64(offset, littleEndian);
      default:
        return refuse('numpy', 'a number', `dtype ${kind}`);
    }
  }
}

function rawBytes(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  return typeof value === 'string' ? latin1Bytes(value, 'numpy') : refuse('numpy', 'raw bytes', kindOf(value));
}

function isShape(value: unknown): value is number[] {
  const isSize = (size: unknown): boolean => Number.isSafeInteger(size) && (size as number) >= 0;
  return Array.isArray(value) && value.length <= 32 && value.every(isSize);
}

/** @throws HyperArcError E_FORMAT unless the bytes are those of the shape. */
function fill(array: NumpyArray, shape: unknown, dtype: unknown, fortranOrder: boolean, raw: unknown): void {
  if (!isShape(shape)) refuse('numpy', 'the shape of an array', kindOf(shape));
  if (!(dtype instanceof NumpyDtype)) refuse('numpy', 'the dtype of an array', kindOf(dtype));
  const bytes = rawBytes(raw);
  const expected = shape.reduce((product, size) => product * size, dtype.itemBytes);
  if (bytes.length !== expected)
    refuse('numpy', `${expected} bytes of an array [${shape.join(', ')}]`, `${bytes.length}`);
  Object.assign(array, { shape, dtype, fortranOrder, bytes });
}

const dtype: PickleGlobal = {
  call([description]) {
    const kind = asciiText(description).replace(/^[<>|=]/, '');
    if (!Object.hasOwn(ITEM_BYTES, kind))
      refuse('numpy.dtype', `one of ${Object.keys(ITEM_BYTES).join(', ')}`, quote(kind));
    return new NumpyDtype(kind);
  },
  /** (version, byte order, subdtype, names, fields, size, alignment, flags). */
  setState(object, state) {
    if (!Array.isArray(state)) refuse('numpy.dtype', 'its state', kindOf(state));
    const order = asciiText(state[1]);
    if (!['<', '>', '|', '='].includes(order)) refuse('numpy.dtype', 'a byte order', quote(order));
    (object as NumpyDtype).littleEndian = order !== '>';
  },
};

/** `_reconstruct(ndarray, (0,), b'b')` makes an empty array; its state fills it. */
const reconstruct: PickleGlobal = {
  call([type]) {
    if (!(type instanceof PickleReference) || type.name !== 'numpy ndarray')
      refuse('numpy', 'an ndarray', kindOf(type));
    return new NumpyArray();
  },
  /** (version, shape, dtype, whether in Fortran's order, bytes). */
  setState(object, state) {
    if (!Array.isArray(state) || state.length !== 5) refuse('numpy.ndarray', 'its state', kindOf(state));
    const [, shape, type, fortranOrder, raw] = state as unknown[];
    fill(object as NumpyArray, shape, type, fortranOrder === true || fortranOrder === 1, raw);
  },
};

/** `_frombuffer(bytes, dtype, shape, order)` of protocol 5. */
const fromBuffer: PickleGlobal = {
  call([raw, type, shape, order]) {
    const array = new NumpyArray();
    fill(array, shape, type, order === 'F', raw);
    return array;
  },
};

/** `scalar(dtype, bytes)`. */
const scalar: PickleGlobal = {
  call([type, raw]) {
    const array = new NumpyArray();
    fill(array, [], type, false, raw);
    return array;
  },
};

/** Globals of NumPy 1 and 2 for arrays and scalars of numbers and bools ({@link NumpyArray}). Use with `plainGlobals`. */
export const numpyGlobals: PickleGlobals = new Map([
  ['numpy dtype', dtype],
  ['numpy ndarray', {}],
  ...['numpy.core', 'numpy._core'].flatMap((module): [string, PickleGlobal][] => [
    [`${module}.multiarray _reconstruct`, reconstruct],
    [`${module}.multiarray scalar`, scalar],
    [`${module}.numeric _frombuffer`, fromBuffer],
  ]),
]);
