import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

/** What the operating system answers to a write that there is no room for. */
const NO_ROOM: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/**
 * A write that found no room, told as what it means for the run in `folder`; any other error as it is.
 * @param canGoOn whether the run has a checkpoint.
 */
export function explainFullDisk(error: unknown, folder: string, canGoOn: boolean): unknown {
  const { code, path } = error as NodeJS.ErrnoException;
  if (!(error instanceof Error) || !NO_ROOM.has(code)) return error;
  const expected = `room on the disk of ${folder}, received ${code}${path === undefined ? '' : ` at ${path}`}`;
  const fix = canGoOn
    ? `checkpoints saved before are whole: make room, then go on with hyperarc train --resume ${folder}`
    : 'no checkpoint had been saved: make room, or give another folder with output=FOLDER, and start again';
  return new HyperArcError('E_RANGE', `output: expected ${expected}; ${fix}`, { cause: error });
}
