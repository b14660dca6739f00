import { extname } from 'node:path';
import { EXTENSIONS } from './imageFormat.js';

const IMAGE_EXTENSIONS: readonly string[] = Object.values(EXTENSIONS).flat();

/** A file that datasets take for an image; what it is, its contents tell. */
export const isImageName = (name: string): boolean =>
  !name.startsWith('.') && IMAGE_EXTENSIONS.includes(extname(name).toLowerCase());
