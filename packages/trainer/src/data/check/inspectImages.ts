import { createHash } from 'node:crypto';
import { extname } from 'node:path';
import sharp from 'sharp';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { decodeImage, MAX_INPUT_PIXELS } from '../decodeImage.js';
import { sniffFormat, type ImageFormat } from '../imageFormat.js';
import type { ImageSource, SourceImage } from './imageSource.js';
import { contrastOf, greyLevels, HASH_WORDS, HASHED_SIDE, perceptualHash } from './perceptualHash.js';

/** Images read and decoded at once; libvips does the work on its own threads. */
const CONCURRENCY = 4;
/** 32-bit words of SHA-256 that are kept: among 10⁹ images two different ones share them with a chance below 10⁻²⁰. */
export const DIGEST_WORDS = 4;
/** Grey levels of standard deviation below which a picture shows nothing. */
const BLANK_CONTRAST = 2;

/** By extension; others are taken for JPEG's. */
const FORMAT_OF: Partial<Record<string, ImageFormat>> = { '.png': 'png', '.webp': 'webp' };

export const STATE = { whole: 0, blank: 1, damaged: 2 } as const;

/** What the images of a source are, by their place in it. */
export interface InspectedImages {
  readonly names: string[];
  /** Names of the identities in the order they come, and [N] which of them each image shows. */
  readonly identities: string[];
  readonly owners: Uint32Array;
  /** [N], of STATE. */
  readonly states: Uint8Array;
  /** [N, DIGEST_WORDS], of the file's contents. */
  readonly digests: Uint32Array;
  /** [N, HASH_WORDS]; zeros where the state is not whole. */
  readonly hashes: Uint32Array;
  readonly bytes: number;
  /** Images by `width×height`. */
  readonly resolutions: ReadonlyMap<string, number>;
  readonly damaged: readonly { readonly image: number; readonly reason: string }[];
  /** Those whose contents are of another format than their names say. */
  readonly wrongExtensions: readonly { readonly image: number; readonly format: string }[];
}

/**
 * Reads and decodes every image once, and keeps of it 49 bytes and its name.
 * @throws HyperArcError what the source throws between images. An image that is damaged is no error.
 */
export async function inspectImages(
  source: ImageSource,
  onProgress?: (done: number) => void,
): Promise<InspectedImages> {
  const names: string[] = [];
  const identityOf = new Map<string, number>();
  const columns = new Columns();
  const resolutions = new Map<string, number>();
  const damaged: { image: number; reason: string }[] = [];
  const wrongExtensions: { image: number; format: string }[] = [];
  let bytes = 0;
  let done = 0;

  const inspect = async ({ name, bytes: promised }: SourceImage, image: number) => {
    try {
      const contents = await promised;
      bytes += contents.length;
      const digest = createHash('sha256').update(contents).digest();
      for (let word = 0; word < DIGEST_WORDS; word++)
        columns.digests[image * DIGEST_WORDS + word] = digest.readUInt32LE(4 * word);
      columns.states[image] = STATE.damaged;
      const grey = greyLevels(await decodeImage(contents, HASHED_SIDE, name));
      const { width, height } = await sharp(contents, { limitInputPixels: MAX_INPUT_PIXELS }).metadata(); // reads the header alone
      resolutions.set(`${width}×${height}`, (resolutions.get(`${width}×${height}`) ?? 0) + 1);
      const format = sniffFormat(contents)!;
      const extension = extname(name).toLowerCase();
      if (extension !== '' && format !== (FORMAT_OF[extension] ?? 'jpeg'))
        wrongExtensions.push({ image, format });
      columns.states[image] = contrastOf(grey) < BLANK_CONTRAST ? STATE.blank : STATE.whole;
      if (columns.states[image] === STATE.whole) perceptualHash(grey, columns.hashes, image * HASH_WORDS);
    } catch (error) {
      if (!(error instanceof HyperArcError)) throw error;
      columns.states[image] = STATE.damaged;
      damaged.push({ image, reason: error.message });
    }
    onProgress?.(++done);
  };

  // Several take images from one iterator; each image's place is given when it is taken.
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  let ended = false;
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      while (!ended) {
        const next = await iterator.next();
        if (next.done) {
          ended = true;
          return;
        }
        const image = names.length;
        names.push(next.value.name);
        columns.grow(image + 1);
        const { identity } = next.value;
        if (!identityOf.has(identity)) identityOf.set(identity, identityOf.size);
        columns.owners[image] = identityOf.get(identity)!;
        await inspect(next.value, image);
      }
    }),
  );
  damaged.sort((a, b) => a.image - b.image);
  wrongExtensions.sort((a, b) => a.image - b.image);
  return {
    names,
    identities: [...identityOf.keys()],
    ...columns.cut(names.length),
    bytes,
    resolutions,
    damaged,
    wrongExtensions,
  };
}

/** Arrays of numbers that double as images come: their number is not known before. */
class Columns {
  owners = new Uint32Array(1024);
  states = new Uint8Array(1024);
  digests = new Uint32Array(1024 * DIGEST_WORDS);
  hashes = new Uint32Array(1024 * HASH_WORDS);

  grow(count: number): void {
    if (count <= this.states.length) return;
    const larger = <T extends Uint8Array | Uint32Array>(array: T): T => {
      const copy = new (array.constructor as new (length: number) => T)(2 * array.length);
      copy.set(array);
      return copy;
    };
    this.owners = larger(this.owners);
    this.states = larger(this.states);
    this.digests = larger(this.digests);
    this.hashes = larger(this.hashes);
  }

  cut(count: number): Pick<InspectedImages, 'owners' | 'states' | 'digests' | 'hashes'> {
    return {
      owners: this.owners.subarray(0, count),
      states: this.states.subarray(0, count),
      digests: this.digests.subarray(0, count * DIGEST_WORDS),
      hashes: this.hashes.subarray(0, count * HASH_WORDS),
    };
  }
}
