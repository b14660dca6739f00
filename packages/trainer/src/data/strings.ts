import type { ByteColumn, Column } from './arrayFile.js';

/** Many strings as two arrays: their UTF-8 one after another, and where each ends. */
export interface StringTable {
  readonly bytes: ByteColumn;
  readonly ends: Column;
}

export function packStrings(strings: readonly string[]): { bytes: Uint8Array; ends: Float64Array } {
  const ends = new Float64Array(strings.length);
  let total = 0;
  strings.forEach((string, i) => {
    total += Buffer.byteLength(string);
    ends[i] = total;
  });
  const bytes = new Uint8Array(total);
  const buffer = Buffer.from(bytes.buffer);
  strings.forEach((string, i) => buffer.write(string, i === 0 ? 0 : ends[i - 1]!));
  return { bytes, ends };
}

export function stringAt({ bytes, ends }: StringTable, index: number): string {
  const part = bytes.subarray(index === 0 ? 0 : ends.at(index - 1)!, ends.at(index)!);
  return Buffer.from(part.buffer, part.byteOffset, part.byteLength).toString('utf8');
}

export const unpackStrings = (table: StringTable): string[] =>
  Array.from({ length: table.ends.length }, (_, i) => stringAt(table, i));

/** Whether the ends ascend to the length of the bytes. */
export const areStrings = (bytes: Uint8Array, ends: Float64Array): boolean =>
  ends.every((end, i) => Number.isInteger(end) && end >= (i === 0 ? 0 : ends[i - 1]!)) &&
  (ends.at(-1) ?? 0) === bytes.length;
