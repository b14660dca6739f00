import { readdirSync, type Dirent } from 'node:fs';
import { extname, join } from 'node:path';
import { isImageName } from './imageName.js';

/** Why a picture in an image folder is none of its images. */
export const LEFT_OUT = [
  'neither JPEG, PNG nor WebP',
  'in a folder within an identity’s',
  'outside every identity’s folder',
] as const;
export type LeftOut = (typeof LEFT_OUT)[number];

const OTHER_PICTURES = new Set(
  '.gif .bmp .tif .tiff .heic .heif .avif .jfif .jp2 .jxl .ppm .pgm'.split(' '),
);
const isOtherPicture = (name: string): boolean =>
  !name.startsWith('.') && OTHER_PICTURES.has(extname(name).toLowerCase());

/** @param folder the identity's. @returns undefined for what is an image of the dataset, and for what is no picture. */
export function leftOutOfIdentity(folder: string, entry: Dirent): LeftOut | undefined {
  if (entry.name.startsWith('.')) return undefined;
  if (entry.isDirectory()) {
    return holdsPicture(join(folder, entry.name)) ? 'in a folder within an identity’s' : undefined;
  }
  return isOtherPicture(entry.name) ? 'neither JPEG, PNG nor WebP' : undefined;
}

/** @param entry of the dataset's own folder. */
export function leftOutOfDataset(entry: Dirent): LeftOut | undefined {
  const isPicture = isImageName(entry.name) || isOtherPicture(entry.name);
  return entry.isFile() && isPicture ? 'outside every identity’s folder' : undefined;
}

/** At any depth; hidden folders, and those that cannot be read, hold none. */
function holdsPicture(folder: string): boolean {
  let entries: Dirent[];
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch {
    return false;
  }
  return entries.some((entry) => {
    if (entry.isDirectory()) return !entry.name.startsWith('.') && holdsPicture(join(folder, entry.name));
    return isImageName(entry.name) || isOtherPicture(entry.name);
  });
}
