import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

/** One read; also what is converted from float64 at a time. */
const CHUNK_BYTES = 1 << 26;
/** NumPy's own headers have 128 bytes; more only for records, which are refused. */
const MAX_HEADER_BYTES = 1 << 16;
const MAGIC = Buffer.from('\x93NUMPY', 'latin1');

/** A matrix of a .npy file as float32, row by row. */
export interface NpyMatrix {
  readonly shape: readonly [rows: number, columns: number];
  readonly values: Float32Array;
}

function readFully(path: string, file: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;) {
    const count = readSync(file, bytes, done, Math.min(CHUNK_BYTES, bytes.length - done), position + done);
    if (count === 0)
      throw new HyperArcError('E_FORMAT', `${path}: expected ${bytes.length - done} bytes more, the file ends`);
    done += count;
  }
}

interface Header {
  readonly wide: boolean;
  readonly rows: number;
  readonly columns: number;
}

/** The dict that NumPy writes, and nothing else of Python: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } */
function parseHeader(path: string, text: string): Header {
  const refuse = (what: string): never => {
    throw new HyperArcError(
      'E_FORMAT',
      `${path}: expected a C-ordered float32 or float64 matrix [N, D], received ${what}; save it with numpy.save`,
    );
  };
  const fields = /^\{'descr': '([^']{1,16})', 'fortran_order': (True|False), 'shape': \(([\d, ]*)\), *\}\s*$/.exec(
    text,
  );
  if (fields === null) return refuse(`the header ${JSON.stringify(text.slice(0, 80))}`);
  const [, descr, fortran, shape] = fields;
  if (descr !== '<f4' && descr !== '<f8') refuse(`dtype ${descr}`);
  if (fortran === 'True') refuse('Fortran order');
  const sizes = shape!
    .split(',')
    .map((size) => size.trim())
    .filter((size) => size !== '')
    .map(Number);
  if (sizes.length !== 2 || !sizes.every(Number.isSafeInteger)) refuse(`shape (${shape})`);
  return { wide: descr === '<f8', rows: sizes[0]!, columns: sizes[1]! };
}

/**
 * Reads a matrix that numpy.save wrote: format 1.0 to 3.0, float32 or float64 (made float32), two dimensions. The bytes are not trusted: the
 * size of the file must be what the header says before anything is allocated.
 * @throws HyperArcError E_FORMAT naming what does not fit.
 */
export function readNpy(path: string): NpyMatrix {
  const file = openSync(path, 'r');
  try {
    const fileBytes = fstatSync(file).size;
    const prefix = Buffer.alloc(12);
    if (fileBytes < prefix.length)
      throw new HyperArcError('E_FORMAT', `${path}: expected a .npy file, received ${fileBytes} bytes`);
    readFully(path, file, prefix, 0);
    const major = prefix[6]!;
    if (!prefix.subarray(0, 6).equals(MAGIC) || major < 1 || major > 3) {
      throw new HyperArcError('E_FORMAT', `${path}: expected a .npy file of format 1 to 3, received other contents`);
    }
    const headerStart = major === 1 ? 10 : 12;
    const headerBytes = major === 1 ? prefix.readUInt16LE(8) : prefix.readUInt32LE(8);
    if (headerBytes > Math.min(MAX_HEADER_BYTES, fileBytes - headerStart)) {
      throw new HyperArcError('E_FORMAT', `${path}: expected a header within the file, received length ${headerBytes}`);
    }
    const head = Buffer.alloc(headerBytes);
    readFully(path, file, head, headerStart);
    const { wide, rows, columns } = parseHeader(path, head.toString('latin1'));
    const dataStart = headerStart + headerBytes;
    const count = rows * columns;
    if (!Number.isSafeInteger(count) || count * (wide ? 8 : 4) !== fileBytes - dataStart) {
      throw new HyperArcError(
        'E_FORMAT',
        `${path}: expected ${rows}×${columns} numbers, received ${fileBytes - dataStart} bytes; copy the file again`,
      );
    }
    const values = new Float32Array(count);
    if (wide) readWide(path, file, values, dataStart);
    else readFully(path, file, new Uint8Array(values.buffer), dataStart);
    return { shape: [rows, columns], values };
  } finally {
    closeSync(file);
  }
}

function readWide(path: string, file: number, values: Float32Array, position: number): void {
  const part = new Float64Array(Math.min(values.length, CHUNK_BYTES / 8));
  for (let done = 0; done < values.length; done += part.length) {
    const wanted = part.subarray(0, Math.min(part.length, values.length - done));
    readFully(path, file, new Uint8Array(wanted.buffer, 0, wanted.byteLength), position + 8 * done);
    values.set(wanted, done);
  }
}
