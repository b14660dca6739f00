import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { checkBadCount, checkShare, MAX_BAD_IMAGES } from '../data/badShare.js';
import type { ImageLoader } from '../data/loadImages.js';
import type { LoadedImages } from '../evaluate/embed.js';
import type { ImageList } from './imageList.js';

/** What is done with images that cannot be decoded. */
export interface BadImageOptions {
  /** stop: the first one is an error. skip: they get no row. Default stop. */
  readonly onBadImage?: 'stop' | 'skip';
  /** skip: share of the images that may be bad; beyond it is an error. Default 0.001. */
  readonly maxBadImages?: number;
}

/** An image without a row. */
export interface LeftOutImage {
  readonly name: string;
  /** In words, with the place of the image. */
  readonly reason: string;
}

/**
 * The share of images that may be left out; undefined where none may.
 * @throws HyperArcError E_RANGE for no share, or one that nothing asks for.
 */
export function shareOf({ onBadImage = 'stop', maxBadImages }: BadImageOptions): number | undefined {
  if (maxBadImages !== undefined) checkShare(maxBadImages);
  if (onBadImage === 'skip') return maxBadImages ?? MAX_BAD_IMAGES;
  if (maxBadImages === undefined) return undefined;
  throw new HyperArcError(
    'E_RANGE',
    `maxBadImages: expected only with onBadImage skip, received onBadImage ${onBadImage}`,
  );
}

/** Loads a list's images, batch after batch, but for those that cannot be decoded. */
export class LeavingOut {
  /** By their place in the list, ascending. */
  private readonly reasons = new Map<number, string>();
  private seen = 0;

  constructor(
    private readonly loader: ImageLoader,
    private readonly total: number,
    private readonly maxShare: number,
  ) {}

  /**
   * @param names the next ones of the list
   * @throws HyperArcError E_FORMAT where too many cannot be decoded.
   */
  async load(names: readonly string[], imageSize: number): Promise<LoadedImages> {
    const first = this.seen;
    this.seen += names.length;
    const { pixels, failures } = await this.loader.loadGood(names, imageSize);
    for (const { at, reason } of failures) this.reasons.set(first + at, reason);
    if (failures.length > 0) {
      const found = { bad: this.reasons.size, total: this.total, last: failures.at(-1)!.reason };
      checkBadCount('maxBadImages', this.maxShare, found, 'mend or remove them, or give a larger share');
    }
    return { pixels, names: names.filter((_, at) => !this.reasons.has(first + at)) };
  }

  /**
   * A list whose images have all been loaded, parted into those that have a row and the others.
   * @throws HyperArcError E_FORMAT if none has.
   */
  part({ names, owners }: Pick<ImageList, 'names' | 'owners'>): Rows {
    const { reasons } = this;
    if (reasons.size === names.length) {
      const last = [...reasons.values()].at(-1)!;
      throw new HyperArcError(
        'E_FORMAT',
        `images: expected at least one that can be decoded, received none of ${names.length}, the last of them ${last}`,
      );
    }
    return {
      names: names.filter((_, index) => !reasons.has(index)),
      ...(owners && { owners: { ...owners, labels: owners.labels.filter((_, index) => !reasons.has(index)) } }),
      leftOut: Array.from(reasons, ([index, reason]) => ({ name: names[index]!, reason })),
    };
  }
}

/** What the rows of a matrix are, and which images have none. */
export interface Rows extends Pick<ImageList, 'names' | 'owners'> {
  readonly leftOut: readonly LeftOutImage[];
}
