import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import sharp from 'sharp';
import { MAX_INPUT_PIXELS, readImageFile } from '../decodeImage.js';
import { checkFormat } from '../imageFormat.js';
import { arcFaceTemplate, invertAffine, similarityTransform, type AffineMatrix, type Point } from './similarity.js';

/** A decoded image: RGB bytes [height, width, 3], sRGB. */
export interface RgbImage {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/**
 * Decodes a JPEG, PNG or WebP whole, turned as its EXIF says (as OpenCV's `imread` does), so that landmarks in pixels fit.
 * @param input A path or the file's bytes.
 * @param name How errors call the image; by default the path.
 * @throws HyperArcError E_FORMAT for a file that cannot be read, is of another format or animated, is damaged or cut short, or
 * has more than MAX_INPUT_PIXELS.
 */
export async function decodeWhole(
  input: string | Uint8Array,
  name = typeof input === 'string' ? input : 'image',
): Promise<RgbImage> {
  const bytes = typeof input === 'string' ? await readImageFile(input) : input;
  checkFormat(bytes, name);
  try {
    const { data, info } = await sharp(bytes, { limitInputPixels: MAX_INPUT_PIXELS, failOn: 'truncated' })
      .autoOrient()
      .removeAlpha()
      .toColourspace('srgb')
      .raw()
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) throw new Error(`${info.channels} channels`);
    return { data, width: info.width, height: info.height };
  } catch (cause) {
    const reason = (cause as Error).message.split('\n')[0]!;
    throw new HyperArcError('E_FORMAT', `${name}: expected a whole image, received a damaged one (${reason}); replace or remove the file`, { cause });
  }
}

function checkImage({ data, width, height }: RgbImage): void {
  const whole = Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0;
  if (!whole || data.length !== width * height * 3) {
    throw new HyperArcError('E_SHAPE', `image: expected ${width}×${height}×3 bytes, received ${data.length}`);
  }
}

/**
 * The image moved by `matrix` (image → result): each pixel of the result is taken from where the inverse puts it, bilinearly between the four
 * pixels around; what is outside the image is 0. This is OpenCV's `warpAffine` with INTER_LINEAR and borderValue 0, as ArcFace's data were made:
 * to the rounding of a half for OpenCV 5; OpenCV 4 rounds places to 1/32 pixel. No smoothing before shrinking, as there.
 *
 * @returns RGB bytes [height, width, 3]
 * @throws HyperArcError E_SHAPE, E_RANGE.
 */
export function warpAffine(image: RgbImage, matrix: AffineMatrix, width: number, height = width): Uint8Array {
  checkImage(image);
  if (![width, height].every((size) => Number.isInteger(size) && size >= 1 && size <= 16384)) {
    throw new HyperArcError('E_RANGE', `size: expected whole numbers of pixels in [1, 16384], received ${width}×${height}`);
  }
  const [a, b, c, d, e, f] = invertAffine(matrix);
  const { data, width: columns, height: rows } = image;
  const result = new Uint8Array(width * height * 3);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      const sourceX = a * x + b * y + c;
      const sourceY = d * x + e * y + f;
      // Also false for NaN. Beyond it all four pixels around are outside.
      if (!(sourceX > -1 && sourceX < columns && sourceY > -1 && sourceY < rows)) continue;
      const left = Math.floor(sourceX);
      const top = Math.floor(sourceY);
      const right = sourceX - left;
      const low = sourceY - top;
      const hasLeft = left >= 0;
      const hasRight = left + 1 < columns;
      const hasTop = top >= 0;
      const hasLow = top + 1 < rows;
      const weight00 = hasLeft && hasTop ? (1 - right) * (1 - low) : 0;
      const weight01 = hasRight && hasTop ? right * (1 - low) : 0;
      const weight10 = hasLeft && hasLow ? (1 - right) * low : 0;
      const weight11 = hasRight && hasLow ? right * low : 0;
      // A pixel outside has weight 0; any one inside may stand for it.
      const row0 = (hasTop ? top : 0) * columns;
      const row1 = (hasLow ? top + 1 : top) * columns;
      const column0 = hasLeft ? left : 0;
      const column1 = hasRight ? left + 1 : left;
      const p00 = 3 * (row0 + column0);
      const p01 = 3 * (row0 + column1);
      const p10 = 3 * (row1 + column0);
      const p11 = 3 * (row1 + column1);
      for (let channel = 0; channel < 3; channel++) {
        const value =
          weight00 * data[p00 + channel]! +
          weight01 * data[p01 + channel]! +
          weight10 * data[p10 + channel]! +
          weight11 * data[p11 + channel]!;
        result[at + channel] = value + 0.5;
      }
    }
  }
  return result;
}

/**
 * A face turned, scaled and shifted so that its five landmarks are where ArcFace expects them.
 * @param landmarks left eye, right eye, nose, left and right corner of the mouth, in pixels of the image
 * @param size pixels a side of the result; default 112
 * @returns RGB bytes [size, size, 3]
 * @throws HyperArcError E_SHAPE, E_NONFINITE, E_RANGE (landmarks in one place).
 */
export function alignFace(image: RgbImage, landmarks: readonly Point[], size = 112): Uint8Array {
  return warpAffine(image, similarityTransform(landmarks, arcFaceTemplate(size)), size);
}
