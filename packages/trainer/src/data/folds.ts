import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

/** Unshuffled folds of nearly equal size, the first `count % folds` one longer: scikit-learn's KFold. Returns [count] fold indices. */
export function contiguousFolds(count: number, folds = 10): number[] {
  const short = Math.floor(count / folds);
  const longer = count % folds;
  const sizes = Array.from({ length: folds }, (_, fold) => short + (fold < longer ? 1 : 0));
  return sizes.flatMap((size, fold) => new Array<number>(size).fill(fold));
}

/**
 * Sorted names of the folds.
 * @throws HyperArcError E_SHAPE unless there is one fold a pair; E_RANGE unless there are two folds, and pairs of both kinds in each: VAL divides by
 *   the number of each kind.
 */
export function checkFolds(same: readonly boolean[], folds: readonly number[]): number[] {
  if (folds.length !== same.length) {
    throw new HyperArcError('E_SHAPE', `folds: expected ${same.length} numbers, received ${folds.length}`);
  }
  const kinds = new Map<number, Set<boolean>>();
  folds.forEach((fold, i) => kinds.set(fold, (kinds.get(fold) ?? new Set()).add(same[i]!)));
  const names = [...kinds.keys()].sort((a, b) => a - b);
  if (names.length < 2 || !names.every(Number.isInteger)) {
    throw new HyperArcError('E_RANGE', `folds: expected at least two different integers, received ${names.join(', ')}`);
  }
  for (const name of names) {
    if (kinds.get(name)!.size < 2) {
      const kind = kinds.get(name)!.has(true) ? 'same' : 'different';
      throw new HyperArcError(
        'E_RANGE',
        `folds: expected same and different pairs in every fold, received only ${kind} pairs in fold ${name}; ` +
          'use fewer folds or more pairs, and mix the two kinds',
      );
    }
  }
  return names;
}
