import { randomBytes } from 'node:crypto';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';

import type { CentersOptions, ClassCenters, LoadOptions } from './centers.js';
import { buffersOf, type CentersBuffer } from './centers-buffers.js';
import { encodeHeader, MAX_HEADER_BYTES, parseHeader, PREFIX_BYTES, type CentersFileHeader } from './centers-header.js';
import { HyperArcError } from './errors.js';

/** Rows are moved in pieces of about this size, so that memory does not grow with the file. */
const CHUNK_BYTES = 8 * 2 ** 20;

interface Chunk {
  readonly buffer: CentersBuffer;
  readonly firstRow: number;
  readonly rowCount: number;
}

function* chunksOf({ classes, subCenters, dim, ...state }: CentersFileHeader): Generator<Chunk> {
  const rows = classes * subCenters;
  const rowsPerChunk = Math.max(1, Math.floor(CHUNK_BYTES / (4 * dim)));
  for (const buffer of buffersOf(state)) {
    for (let firstRow = 0; firstRow < rows; firstRow += rowsPerChunk) {
      yield { buffer, firstRow, rowCount: Math.min(rowsPerChunk, rows - firstRow) };
    }
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** Fills `bytes` from `position`; false if the file ends before. */
async function readAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<boolean> {
  for (let done = 0; done < bytes.length;) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, position + done);
    if (bytesRead === 0) return false;
    done += bytesRead;
  }
  return true;
}

/** Writes `centers` to `path`: to a temporary name beside it, renamed when whole. */
export async function saveCenters(path: string, centers: ClassCenters): Promise<void> {
  const header: CentersFileHeader = { ...centers.config, updates: centers.updates };
  const changesBefore = centers.changes;
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  const file = await open(temporary, 'wx');
  try {
    // The checksum covers the header as it is with a checksum of zero, then the data; the header is written again with it.
    const blank = encodeHeader(header, 0);
    let checksum = crc32(blank);
    let position = blank.length;
    await writeAll(file, blank, 0);
    for (const { buffer, firstRow, rowCount } of chunksOf(header)) {
      if (centers.changes !== changesBefore) {
        throw new HyperArcError(
          'E_BUSY',
          'class centres: expected no change while they are saved, received one; await save',
        );
      }
      const rows = centers.readRows(firstRow, rowCount, buffer);
      const bytes = new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength);
      checksum = crc32(bytes, checksum);
      await writeAll(file, bytes, position);
      position += bytes.length;
    }
    await writeAll(file, encodeHeader(header, checksum), 0);
    await file.sync();
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(temporary, { force: true });
    throw error;
  }
}

async function readHeader(
  file: FileHandle,
  path: string,
): Promise<CentersFileHeader & { bytes: Uint8Array; checksum: number }> {
  const fileBytes = (await file.stat()).size;
  const prefix = new Uint8Array(PREFIX_BYTES);
  if (!(await readAll(file, prefix, 0))) {
    throw new HyperArcError('E_FORMAT', `${path}: expected a class-centre file, received ${fileBytes} bytes`);
  }
  const headerBytes = new DataView(prefix.buffer).getBigUint64(0, true);
  if (headerBytes > BigInt(Math.min(MAX_HEADER_BYTES, fileBytes - PREFIX_BYTES))) {
    throw new HyperArcError(
      'E_FORMAT',
      `${path}: expected a header within the file's ${fileBytes} bytes, received one of ${headerBytes} bytes`,
    );
  }
  const bytes = new Uint8Array(PREFIX_BYTES + Number(headerBytes));
  await readAll(file, bytes, 0);
  return { ...parseHeader(bytes, fileBytes, path), bytes };
}

/** Numbers that no centres hold are found before the checksum is: the file is corrupt either way. */
function writeSavedRows(
  centers: ClassCenters,
  path: string,
  firstRow: number,
  rows: Float32Array,
  buffer: CentersBuffer,
): void {
  try {
    centers.writeRows(firstRow, rows, buffer);
  } catch (cause) {
    if (!(cause instanceof HyperArcError) || !['E_NONFINITE', 'E_RANGE'].includes(cause.code)) throw cause;
    const received = `others (${cause.message})`;
    throw new HyperArcError('E_FORMAT', `${path}: expected ${buffer} that centres can hold, received ${received}`, {
      cause,
    });
  }
}

/** Reads what {@link saveCenters} wrote into centres that `allocate` makes; they are disposed if the file proves broken. */
export async function loadCenters(
  path: string,
  options: LoadOptions,
  allocate: (shape: CentersOptions) => ClassCenters,
): Promise<ClassCenters> {
  const file = await open(path, 'r');
  try {
    const { bytes: headerBytes, checksum, ...header } = await readHeader(file, path);
    const { updates, ...made } = header;
    const state =
      options.momentum === false
        ? { optimizer: 'sgd' as const, momentum: false }
        : { optimizer: header.optimizer, momentum: options.momentum ?? header.momentum };
    const kept = buffersOf(state);
    const { device, kernels, precision = header.precision } = options;
    const where = { ...(device !== undefined && { device }), ...(kernels !== undefined && { kernels }) };
    const centers = allocate({ ...made, ...state, precision, ...where });
    try {
      let computed = crc32(encodeHeader(header, 0));
      let position = headerBytes.length;
      for (const { buffer, firstRow, rowCount } of chunksOf(header)) {
        const rows = new Float32Array(rowCount * header.dim);
        const bytes = new Uint8Array(rows.buffer);
        if (!(await readAll(file, bytes, position))) {
          throw new HyperArcError('E_FORMAT', `${path}: expected more data, received the end of the file`);
        }
        computed = crc32(bytes, computed);
        position += bytes.length;
        if (kept.includes(buffer)) writeSavedRows(centers, path, firstRow, rows, buffer);
      }
      if (computed !== checksum) {
        throw new HyperArcError(
          'E_FORMAT',
          `${path}: expected checksum ${hex(checksum)}, received data with ${hex(computed)}; the file is corrupt`,
        );
      }
      if (state.optimizer === 'adamw') centers.setUpdates(updates);
      return centers;
    } catch (error) {
      centers.dispose();
      throw error;
    }
  } finally {
    await file.close();
  }
}

function hex(checksum: number): string {
  return checksum.toString(16).padStart(8, '0');
}
