import { extname } from 'node:path';

const EXTENSIONS = new Set(['.jpg', '.jpeg', '.png']);

/** A file that datasets take for an image; what it is, its contents tell. */
export const isImageName = (name: string): boolean =>
  !name.startsWith('.') && EXTENSIONS.has(extname(name).toLowerCase());
