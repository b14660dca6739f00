import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

/** The formats that are read. */
export type ImageFormat = 'jpeg' | 'png' | 'webp';

/** Endings of each format's files in lower case, the one that we give them first. */
export const EXTENSIONS = {
  jpeg: ['.jpg', '.jpeg'],
  png: ['.png'],
  webp: ['.webp'],
} as const satisfies Record<ImageFormat, readonly string[]>;

/** Bytes at the beginning of a file that {@link sniffFormat} looks at. */
export const SNIFFED_BYTES = 21;

const latin1 = (bytes: Uint8Array, from: number, to: number): string =>
  Buffer.from(bytes.subarray(from, to)).toString('latin1');

const isWebP = (bytes: Uint8Array): boolean => latin1(bytes, 0, 4) === 'RIFF' && latin1(bytes, 8, 12) === 'WEBP';

/** Of a WebP: the chunk VP8X stands first where there are flags, and animation is one of them. Without it, frames are not allowed. */
const isAnimated = (bytes: Uint8Array): boolean => latin1(bytes, 12, 16) === 'VP8X' && (bytes[20]! & 2) !== 0;

/**
 * The format that the first bytes of a file tell, whatever its name; undefined for anything else. Animated WebP, which has no one picture, is
 * something else.
 */
export function sniffFormat(bytes: Uint8Array): ImageFormat | undefined {
  const startsWith = (...magic: number[]) => magic.every((value, i) => bytes[i] === value);
  if (startsWith(0xff, 0xd8, 0xff)) return 'jpeg';
  if (startsWith(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return 'png';
  return isWebP(bytes) && !isAnimated(bytes) ? 'webp' : undefined;
}

/**
 * {@link sniffFormat}, of what must be an image.
 * @param bytes The file, or its first SNIFFED_BYTES.
 * @throws HyperArcError E_FORMAT for anything else, naming the format of other pictures.
 */
export function checkFormat(bytes: Uint8Array, name: string): ImageFormat {
  const format = sniffFormat(bytes);
  if (format !== undefined) return format;
  const picture = otherPicture(bytes);
  const isPage = /^\s*<(!doctype|html)/i.test(latin1(bytes, 0, 64));
  const other = bytes.length === 0 ? 'an empty file' : isPage ? 'a web page' : 'other contents';
  const fix = picture === undefined ? 'replace or remove it' : 'convert it to JPEG or PNG, or remove it';
  throw new HyperArcError('E_FORMAT', `${name}: expected a JPEG, PNG or WebP image, received ${picture ?? other}; ${fix}`);
}

/** The format of a picture that is not read. */
function otherPicture(bytes: Uint8Array): string | undefined {
  const text = (from: number, to: number) => latin1(bytes, from, to);
  if (isWebP(bytes)) return 'an animated WebP';
  if (text(0, 4) === 'GIF8') return 'GIF';
  if (/^ftypavi[fs]/.test(text(4, 12))) return 'AVIF';
  if (/^ftyp(hei|hev|mif1|msf1)/.test(text(4, 12))) return 'HEIC';
  if (['II*\0', 'MM\0*'].includes(text(0, 4))) return 'TIFF';
  return text(0, 2) === 'BM' ? 'BMP' : undefined;
}
