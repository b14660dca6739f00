/** Many strings as two arrays: their UTF-8 one after another, and where each ends. */
export interface StringTable {
  readonly bytes: Uint8Array;
  readonly ends: Float64Array;
}

export function packStrings(strings: readonly string[]): StringTable {
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
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(
    'utf8',
    index === 0 ? 0 : ends[index - 1]!,
    ends[index]!,
  );
}

export const unpackStrings = (table: StringTable): string[] => Array.from(table.ends, (_, i) => stringAt(table, i));

/** Whether the ends ascend to the length of the bytes. */
export const isStringTable = ({ bytes, ends }: StringTable): boolean =>
  ends.every((end, i) => Number.isInteger(end) && end >= (i === 0 ? 0 : ends[i - 1]!)) &&
  (ends.at(-1) ?? 0) === bytes.length;
