import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

/** Pictures of more pixels are refused before any is decoded. */
export const MAX_INPUT_PIXELS = 64_000_000;

export type ImageFormat = 'jpeg' | 'png';

/** The format that the first bytes of a file tell, whatever its name; undefined for anything but JPEG and PNG. */
export function sniffFormat(bytes: Uint8Array): ImageFormat | undefined {
  const startsWith = (...magic: number[]) => magic.every((value, i) => bytes[i] === value);
  if (startsWith(0xff, 0xd8, 0xff)) return 'jpeg';
  if (startsWith(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return 'png';
  return undefined;
}

/** The format of a picture that is neither JPEG nor PNG. */
function otherPicture(bytes: Uint8Array): string | undefined {
  const text = (from: number, to: number) => Buffer.from(bytes.subarray(from, to)).toString('latin1');
  if (text(0, 4) === 'RIFF' && text(8, 12) === 'WEBP') return 'WebP';
  if (text(0, 4) === 'GIF8') return 'GIF';
  if (/^ftypavi[fs]/.test(text(4, 12))) return 'AVIF';
  if (/^ftyp(hei|hev|mif1|msf1)/.test(text(4, 12))) return 'HEIC';
  if (['II*\0', 'MM\0*'].includes(text(0, 4))) return 'TIFF';
  return text(0, 2) === 'BM' ? 'BMP' : undefined;
}

/**
 * Decodes a JPEG or PNG to `size` × `size` pixels: turned as its EXIF says, cut to a centred square, resized (Lanczos).
 * @param input A path or the file's bytes.
 * @param name How errors call the image; by default the path.
 * @returns RGB bytes [size, size, 3], sRGB.
 * @throws HyperArcError E_FORMAT for a file that cannot be read, is neither JPEG nor PNG, is damaged or cut short, or
 * claims more than MAX_INPUT_PIXELS.
 */
export async function decodeImage(
  input: string | Uint8Array,
  size: number,
  name = typeof input === 'string' ? input : 'image',
): Promise<Uint8Array> {
  const bytes = typeof input === 'string' ? await readImageFile(input) : input;
  if (sniffFormat(bytes) === undefined) {
    const picture = otherPicture(bytes);
    const isPage = /^\s*<(!doctype|html)/i.test(Buffer.from(bytes.subarray(0, 64)).toString('latin1'));
    const other = bytes.length === 0 ? 'an empty file' : isPage ? 'a web page' : 'other contents';
    const received = picture ?? other;
    const fix = picture === undefined ? 'replace or remove the file' : 'convert it to JPEG or PNG, or remove it';
    throw new HyperArcError('E_FORMAT', `${name}: expected a JPEG or PNG image, received ${received}; ${fix}`);
  }
  let data: Buffer;
  try {
    data = await sharp(bytes, { limitInputPixels: MAX_INPUT_PIXELS, failOn: 'truncated' })
      .autoOrient()
      .resize(size, size, { fit: 'cover' })
      .removeAlpha()
      .toColourspace('srgb')
      .raw()
      .toBuffer();
  } catch (cause) {
    const reason = (cause as Error).message.split('\n')[0]!;
    throw new HyperArcError('E_FORMAT', `${name}: expected a whole image, received a damaged one (${reason}); replace or remove the file`, { cause });
  }
  if (data.length !== size * size * 3) {
    throw new HyperArcError('E_INTERNAL', `${name}: expected ${size * size * 3} bytes of pixels, received ${data.length}; please report the file`);
  }
  return data;
}

/** @throws HyperArcError E_FORMAT naming the file. */
export async function readImageFile(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message;
    throw new HyperArcError('E_FORMAT', `${path}: expected a readable file, received ${reason}; check that it exists and its permissions`, { cause });
  }
}
