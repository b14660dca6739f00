import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { ImageDataset } from '../dataset.js';
import { EXTENSIONS } from '../imageFormat.js';
import { isImageName } from '../imageName.js';
import type { ImageFile } from './convert.js';

const MAX_NAME_BYTES = 255;

/** @throws HyperArcError E_RANGE for an identity whose name no folder can have. */
export function checkFolderNames(identities: readonly string[]): void {
  for (const name of identities) {
    const isFine = !name.startsWith('.') && !/[/\\\0]/.test(name) && Buffer.byteLength(name) <= MAX_NAME_BYTES;
    if (isFine && name !== '') continue;
    const expected = `names that a folder can have (no / and no dot at the beginning, at most ${MAX_NAME_BYTES} bytes)`;
    throw new HyperArcError('E_RANGE', `identities: expected ${expected}, received ${JSON.stringify(name)}`);
  }
}

/** Names of image files, no two of one identity the same: the last part of the image's own name, or a number before it. */
export class FileNames {
  private readonly taken = new Map<number, Set<string>>();

  nameFor({ name, label, index, format }: Pick<ImageFile, 'name' | 'label' | 'index' | 'format'>): string {
    let file = basename(name);
    if (!isImageName(file) || Buffer.byteLength(file) > MAX_NAME_BYTES) {
      file = `${String(index).padStart(9, '0')}${EXTENSIONS[format][0]}`;
    }
    let names = this.taken.get(label);
    if (names === undefined) this.taken.set(label, (names = new Set()));
    const stem = file.slice(0, -extname(file).length);
    // Two files of one stem would be one sample of a shard.
    const unique = names.has(stem) ? `${String(index).padStart(9, '0')}-${file}` : file;
    names.add(stem);
    return unique;
  }
}

/** Writes `IDENTITY/IMAGE.jpg` into an empty folder. */
export async function writeFolder(
  { identities }: ImageDataset,
  images: AsyncIterable<ImageFile>,
  folder: string,
): Promise<void> {
  checkFolderNames(identities);
  for (const identity of identities) mkdirSync(join(folder, identity));
  const names = new FileNames();
  for await (const image of images) {
    writeFileSync(join(folder, identities[image.label]!, names.nameFor(image)), image.bytes, { flag: 'wx' });
  }
}
