import { buffersOf } from './centers-buffers.js';
import { HyperArcError } from './errors.js';
import { requireInteger, requireStddev, requireUint64 } from './checks.js';
import { toNativeConfig, type CentersShape } from './shape.js';

/** What a class-centre file says of its centres. */
export type CentersFileHeader = Required<CentersShape> & {
  readonly seed: bigint;
  readonly stddev: number;
  /** AdamW's number of updates; 0 with SGD. */
  readonly updates: number;
};

/** safetensors: u64 little-endian length of the JSON header, the header, the data. */
export const PREFIX_BYTES = 8;
/** Ours is under 1 KB; no other is worth reading. */
export const MAX_HEADER_BYTES = 65_536;
const FORMAT = 'hyperarc-class-centers';
const VERSION = '1';

/**
 * Prefix and header of the file. One header has one encoding, so that a reader can demand exactly these bytes.
 * @param checksum CRC-32 of these bytes with a checksum of zero, followed by the data.
 */
export function encodeHeader(header: CentersFileHeader, checksum: number): Uint8Array {
  const shape = [header.classes, header.subCenters, header.dim];
  const tensorBytes = 4 * header.classes * header.subCenters * header.dim;
  const tensors = Object.fromEntries(
    buffersOf(header).map((name, i) => [
      name,
      { dtype: 'F32', shape, data_offsets: [i * tensorBytes, (i + 1) * tensorBytes] },
    ]),
  );
  const metadata = {
    format: FORMAT,
    version: VERSION,
    precision: header.precision,
    firstClass: String(header.firstClass),
    globalClasses: String(header.globalClasses),
    seed: String(header.seed),
    stddev: String(header.stddev),
    // Files of SGD are what they were before there was another optimizer.
    ...(header.optimizer === 'adamw' && { optimizer: header.optimizer, updates: String(header.updates) }),
    crc32: checksum.toString(16).padStart(8, '0'),
  };
  const json = JSON.stringify({ __metadata__: metadata, ...tensors });
  const text = new TextEncoder().encode(json.padEnd(Math.ceil(json.length / 8) * 8));
  const bytes = new Uint8Array(PREFIX_BYTES + text.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, PREFIX_BYTES);
  return bytes;
}

/** The number whose text `text` is. */
function wholeNumber(text: unknown): bigint {
  if (typeof text !== 'string' || !/^\d{1,20}$/.test(text)) throw new TypeError('not a whole number');
  return BigInt(text);
}

function readFields(json: string): CentersFileHeader & { checksum: number } {
  const { __metadata__: metadata, weights, momentum } = JSON.parse(json);
  const [classes, subCenters, dim] = weights.shape;
  const shape = toNativeConfig({
    classes,
    subCenters,
    dim,
    precision: metadata.precision,
    optimizer: metadata.optimizer,
    momentum: momentum !== undefined,
    firstClass: Number(wholeNumber(metadata.firstClass)),
    globalClasses: Number(wholeNumber(metadata.globalClasses)),
  });
  return {
    ...shape,
    seed: requireUint64('seed', wholeNumber(metadata.seed)),
    stddev: requireStddev(Number(metadata.stddev)),
    updates: requireInteger('updates', Number(wholeNumber(metadata.updates ?? '0')), 0, Number.MAX_SAFE_INTEGER),
    checksum: Number.parseInt(metadata.crc32, 16),
  };
}

/**
 * Reads prefix and header; everything that `encodeHeader` would not have written for these fields is refused, and so is a file
 * whose size is not exactly that of its header and tensors.
 * @throws HyperArcError E_FORMAT
 */
export function parseHeader(
  bytes: Uint8Array,
  fileBytes: number,
  path: string,
): CentersFileHeader & { checksum: number } {
  let fields: CentersFileHeader & { checksum: number };
  try {
    fields = readFields(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(PREFIX_BYTES)));
    const { checksum, ...header } = fields;
    if (Buffer.compare(encodeHeader(header, checksum), bytes) !== 0) throw new TypeError('not our encoding');
  } catch (error) {
    throw new HyperArcError(
      'E_FORMAT',
      `${path}: expected the header of a class-centre file, received another layout`,
      {
        cause: error,
      },
    );
  }
  const tensorBytes = 4 * fields.classes * fields.subCenters * fields.dim;
  const expected = bytes.length + tensorBytes * buffersOf(fields).length;
  if (fileBytes !== expected) {
    throw new HyperArcError(
      'E_FORMAT',
      `${path}: expected ${expected} bytes as its header says, received ${fileBytes}; the file was cut short or added to`,
    );
  }
  return fields;
}
