import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

const HEADER_BYTES = 24;

/** What a record of MXNet's image format holds: IRHeader (u32 count, f32 label, u64 id, u64 id2), `count` more f32 labels, then a file. */
export interface ImageRecord {
  /** The header's label where it holds one number, else its list. fp32: whole numbers above 2²⁴ are not exact. */
  readonly labels: readonly number[];
  readonly id: bigint;
  /** Contents of an image file; empty for records that only describe others. */
  readonly image: Buffer;
}

/** @throws HyperArcError E_FORMAT, naming the record as `name`, for a payload too short for what its header says. */
export function decodeImageRecord(payload: Buffer, name: string): ImageRecord {
  const fail = (expected: string): never => {
    throw new HyperArcError(
      'E_FORMAT',
      `${name}: expected ${expected}, received a payload of ${payload.length} bytes; the record is damaged`,
    );
  };
  if (payload.length < HEADER_BYTES) fail(`an image header of ${HEADER_BYTES} bytes`);
  const count = payload.readUInt32LE(0);
  const end = HEADER_BYTES + 4 * count;
  if (end > payload.length) fail(`${count} labels after the header`);
  const labels =
    count === 0
      ? [payload.readFloatLE(4)]
      : Array.from({ length: count }, (_, i) => payload.readFloatLE(HEADER_BYTES + 4 * i));
  return { labels, id: payload.readBigUInt64LE(8), image: payload.subarray(end) };
}

/**
 * @param labels one number stands in the header itself, several after it.
 * @param id number of the record.
 */
export function encodeImageRecord(labels: readonly number[], id: bigint, image: Uint8Array = new Uint8Array()): Buffer {
  const count = labels.length === 1 ? 0 : labels.length;
  const header = Buffer.alloc(HEADER_BYTES + 4 * count);
  header.writeUInt32LE(count, 0);
  if (count === 0) header.writeFloatLE(labels[0]!, 4);
  else labels.forEach((label, i) => header.writeFloatLE(label, HEADER_BYTES + 4 * i));
  header.writeBigUInt64LE(id, 8);
  return Buffer.concat([header, image]);
}
