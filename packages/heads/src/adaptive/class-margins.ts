import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { ClassMarginsAdaptation } from '../specs/index.js';
import { stateless, type AdaptationRuntime } from './runtime.js';

/**
 * Each sample has the margin of its class.
 * @throws HyperArcError E_SHAPE unless there is one for each of the head's classes.
 */
export function classMargins(
  name: string,
  { parameter, margins }: ClassMarginsAdaptation,
  classes: number,
): AdaptationRuntime<null> {
  if (margins.length !== classes) {
    const expected = `one for each of the head's ${classes} classes`;
    throw new HyperArcError('E_SHAPE', `${name}.margins: expected ${expected}, received ${margins.length}`);
  }
  const marginOf = (label: number): number => {
    if (label < margins.length) return margins[label]!;
    const fix = 'a head with class margins cannot be resized';
    throw new HyperArcError(
      'E_RANGE',
      `${name}.margins: expected one for class ${label}, received ${margins.length}; ${fix}`,
    );
  };
  return stateless(({ labels }) => ({ columns: { [parameter]: Float32Array.from(labels, marginOf) } }));
}
