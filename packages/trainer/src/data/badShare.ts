import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

/** How many images may be bad, where bad ones are skipped and no other share is given. */
export const MAX_BAD_IMAGES = 0.001;

/** @throws HyperArcError E_RANGE unless it is a share. */
export function checkShare(maxShare: number): void {
  if (maxShare >= 0 && maxShare <= 1) return;
  throw new HyperArcError('E_RANGE', `maxBadImages: expected a share in [0, 1], received ${maxShare}`);
}

/** Images that cannot be decoded, of a dataset's. */
export interface BadCount {
  readonly bad: number;
  readonly total: number;
  /** Why the last of them could not be, with its name. */
  readonly last: string;
}

/**
 * @param option what errors call the share
 * @throws HyperArcError E_FORMAT where it is exceeded.
 */
export function checkBadCount(option: string, maxShare: number, { bad, total, last }: BadCount, fix: string): void {
  if (bad / total <= maxShare) return;
  throw new HyperArcError(
    'E_FORMAT',
    `${option}: expected at most a share of ${maxShare} of images that cannot be decoded, ` +
      `received ${bad} of ${total}, the last of them ${last}; ${fix}`,
  );
}
