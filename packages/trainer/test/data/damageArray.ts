import { ArrayFile, writeArrays, type StoredArray } from '../../dist/data/arrayFile.js';

const TYPES = { f64: Float64Array, u32: Uint32Array, i32: Int32Array, u8: Uint8Array } as const;
const typesOf = { Float64Array: 'f64', Uint32Array: 'u32', Int32Array: 'i32', Uint8Array: 'u8' } as const;

/** Writes a file of arrays again with one number changed, added at the end, or in an array of its own. */
export function damageArray(path: string, name: string, at: number, value: number, as?: new (length: number) => StoredArray): void {
  const file = new ArrayFile(path);
  const load = (array: string): StoredArray => {
    for (const type of Object.values(typesOf)) {
      try {
        return file.load(array, type);
      } catch {
        // Another type.
      }
    }
    throw new Error(`no array ${array}`);
  };
  const arrays: Record<string, StoredArray> = Object.fromEntries(file.names.map((array) => [array, load(array)]));
  const old: StoredArray = arrays[name] ?? new TYPES.i32(0);
  const changed = new (as ?? (old.constructor as new (length: number) => StoredArray))(Math.max(old.length, at + 1));
  changed.set(old);
  changed[at] = value;
  writeArrays(path, file.facts, { ...arrays, [name]: changed });
}
