import { existsSync } from 'node:fs';

import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

/** @throws HyperArcError E_RANGE if it exists. */
export function checkFree(out: string): void {
  if (!existsSync(out)) return;
  throw new HyperArcError(
    'E_RANGE',
    `out: expected a name that is free, received ${out}, which exists; remove it, or give another`,
  );
}
