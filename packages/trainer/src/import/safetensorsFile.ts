import { readAll, readSafetensorsHeader } from '../checkpoint/safetensors.js';
import { DTYPE_BYTES, type ForeignDtype, toFloat32 } from './dtypes.js';
import type { ForeignTensor } from './foreignTensor.js';

/** The format's names of types. */
const DTYPES: Readonly<Record<string, ForeignDtype>> = {
  F16: 'float16',
  BF16: 'bfloat16',
  F32: 'float32',
  F64: 'float64',
  I8: 'int8',
  U8: 'uint8',
  BOOL: 'bool',
  I16: 'int16',
  I32: 'int32',
  I64: 'int64',
};
const BYTES = Object.fromEntries(Object.entries(DTYPES).map(([name, dtype]) => [name, DTYPE_BYTES[dtype]]));

/**
 * The tensors of an open safetensors file.
 * @throws HyperArcError E_FORMAT naming what does not fit.
 */
export function readSafetensorsFile(file: number, path: string): Map<string, ForeignTensor> {
  return new Map(
    [...readSafetensorsHeader(file, path, BYTES)].map(([name, entry]) => {
      const dtype = DTYPES[entry.dtype]!;
      const read = () => {
        const bytes = new Uint8Array(entry.bytes);
        readAll(file, bytes, entry.position, path);
        return toFloat32(dtype, bytes, name);
      };
      return [name, { dtype, shape: entry.shape, read }];
    }),
  );
}
