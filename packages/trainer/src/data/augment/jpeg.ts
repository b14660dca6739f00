import sharp from 'sharp';
import type { Pixels } from './image.js';

/**
 * Through a JPEG and back: blocks and ringing. Baseline, chroma at half resolution (4:2:0). The bytes are those of the
 * installed libvips, equal on every thread.
 * @param quality 1 to 100.
 */
export async function jpegArtefacts(pixels: Pixels, size: number, quality: number): Promise<Pixels> {
  const raw = { width: size, height: size, channels: 3 } as const;
  const file = await sharp(pixels, { raw }).jpeg({ quality, chromaSubsampling: '4:2:0' }).toBuffer();
  return new Uint8Array(await sharp(file).removeAlpha().toColourspace('srgb').raw().toBuffer());
}
