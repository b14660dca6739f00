import { readFileSync } from 'node:fs';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import { checkFormat } from '../../data/imageFormat.js';
import { OP } from '../../pickle/opcodes.js';
import { latin1Bytes, NumpyArray, numpyGlobals, plainGlobals, unpickle } from '../../pickle/index.js';

/** Images of pairs, two after another, as InsightFace's verification sets keep them. */
export interface VerificationBin {
  /** [2N] JPEG, PNG or WebP files; images 2i and 2i + 1 are pair i. */
  readonly images: readonly Uint8Array[];
  /** [N] true where the pair shows one identity. */
  readonly same: readonly boolean[];
}

const GLOBALS = new Map([...plainGlobals, ...numpyGlobals]);

/** PROTO of protocols 2 and up; MARK and EMPTY_LIST of 0 and 1, where both begin with a tuple or list. */
const FIRST_BYTES: readonly number[] = [OP.PROTO, OP.MARK, OP.EMPTY_LIST];

function refuse(name: string, expected: string, received: string): never {
  throw new HyperArcError('E_FORMAT', `${name}: expected ${expected}, received ${received}`);
}

/** What a value is, for messages. */
function kind(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (value instanceof NumpyArray) return `a NumpyArray of ${value.dtype.kind} [${value.shape.join(', ')}]`;
  if (value === null) return 'None';
  return typeof value === 'object' ? value.constructor.name : typeof value;
}

/** bytes; `str` that was loaded as latin1 and written again; a NumPy array of bytes. */
function encodedImage(value: unknown, name: string): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'string') return latin1Bytes(value, name);
  const isByteArray = value instanceof NumpyArray && value.dtype.itemBytes === 1 && value.shape.length === 1;
  return isByteArray ? value.bytes : refuse(name, 'an encoded image as bytes', kind(value));
}

/** A bool or int of Python, or NumPy's. */
function isSame(value: unknown, name: string): boolean {
  const plain = value instanceof NumpyArray && value.shape.length === 0 ? Number(value.at(0)) : value;
  if (typeof plain === 'boolean') return plain;
  return plain === 0 || plain === 1 ? plain === 1 : refuse(name, 'True or False', kind(value));
}

/** A list, or a one-dimensional NumPy array. */
function items(value: unknown, name: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  if (value instanceof NumpyArray && value.shape.length === 1) {
    return Array.from({ length: value.shape[0]! }, (_, i) => Number(value.at(i)));
  }
  return refuse(name, 'a list', kind(value));
}

/**
 * Reads a verification set of InsightFace's form (lfw.bin, cfp_fp.bin, agedb_30.bin, …): a pickle of (images, whether each pair is the same), of Python 2
 * or 3, the images as bytes, as latin1 text or as NumPy arrays. Nothing in it is run.
 *
 * @param name What errors call it.
 * @throws HyperArcError E_FORMAT for anything else: another pickle, one that asks for code, an odd number of images, other numbers of images and pairs,
 *   an image that is neither JPEG, PNG nor WebP.
 */
export function parseVerificationBin(bytes: Uint8Array, name: string): VerificationBin {
  if (bytes.length > 0 && !FIRST_BYTES.includes(bytes[0]!)) {
    refuse(name, 'a verification set (a pickle)', 'other contents; a list of pairs is for --pairs');
  }
  const { value } = unpickle(bytes, { name, globals: GLOBALS, encoding: 'bytes' });
  if (!Array.isArray(value) || value.length !== 2) {
    refuse(name, 'a pickle of two lists, the images and whether each pair is the same', kind(value));
  }
  const encoded = items(value[0], `${name}: images`);
  const labels = items(value[1], `${name}: whether each pair is the same`);
  if (encoded.length % 2 !== 0) refuse(name, 'two images a pair', `${encoded.length} images`);
  if (encoded.length !== 2 * labels.length || labels.length === 0) {
    refuse(name, 'two images for each of one or more pairs', `${encoded.length} images for ${labels.length} pairs`);
  }
  const images = encoded.map((image, i) => {
    const which = `${name}: image ${i} (of pair ${Math.floor(i / 2)})`;
    const file = encodedImage(image, which);
    checkFormat(file, which);
    return file;
  });
  return { images, same: labels.map((label, i) => isSame(label, `${name}: pair ${i}`)) };
}

/** {@link parseVerificationBin} of a file. */
export function readVerificationBin(path: string): VerificationBin {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message;
    throw new HyperArcError('E_FORMAT', `${path}: expected a verification set, received ${reason}; check the path`, {
      cause,
    });
  }
  return parseVerificationBin(bytes, path);
}
