import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { checkFormat } from './imageFormat.js';

/** Pictures of more pixels are refused before any is decoded. */
export const MAX_INPUT_PIXELS = 64_000_000;

/**
 * Decodes a JPEG, PNG or WebP to `size` × `size` pixels: turned as its EXIF says, cut to a centred square, resized (Lanczos).
 * @param input A path or the file's bytes.
 * @param name How errors call the image; by default the path.
 * @returns RGB bytes [size, size, 3], sRGB.
 * @throws HyperArcError E_FORMAT for a file that cannot be read, is of another format or animated, is damaged or cut
 * short, or claims more than MAX_INPUT_PIXELS.
 */
export async function decodeImage(
  input: string | Uint8Array,
  size: number,
  name = typeof input === 'string' ? input : 'image',
): Promise<Uint8Array> {
  const bytes = typeof input === 'string' ? await readImageFile(input) : input;
  const format = checkFormat(bytes, name);
  let data: Buffer;
  try {
    data = await sharp(bytes, { limitInputPixels: MAX_INPUT_PIXELS, failOn: 'truncated' })
      .autoOrient()
      // With libwebp's own shrinking the same picture would have other pixels than as PNG.
      .resize(size, size, { fit: 'cover', fastShrinkOnLoad: format !== 'webp' })
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
