import { HyperArcError } from '@hyperarc/kernels-cuda';

/** What was looked at when a number that is not finite turned up. */
export interface BatchContext {
  /** 1-based number of the update. */
  step: number;
  /** Index of each sample in the dataset. */
  indices: ArrayLike<number>;
  /** A sample's name by dataset index, its path say. */
  nameOf: (index: number) => string;
}

const SHOWN = 4;

function firstFew(names: readonly string[]): string {
  const more = names.length > SHOWN ? `, and ${names.length - SHOWN} more` : '';
  return names.slice(0, SHOWN).join(', ') + more;
}

/** Rows of a [rows, columns] array that hold a NaN or an infinity. */
export function nonFiniteRows(values: ArrayLike<number>, columns: number): number[] {
  const rows: number[] = [];
  for (let start = 0, row = 0; start < values.length; start += columns, row++) {
    for (let i = start; i < start + columns; i++) {
      if (!Number.isFinite(values[i])) {
        rows.push(row);
        break;
      }
    }
  }
  return rows;
}

function describe(values: ArrayLike<number>): string {
  return Array.prototype.some.call(values, Number.isNaN) ? 'NaN' : 'Infinity';
}

/** What ends each message of a number that is not finite. */
export const NON_FINITE_FIX =
  'start a new run with a lower optimizer.learningRate, a longer schedule.warmupEpochs or a lower optimizer.clipNorm';

function refuse({ step }: BatchContext, expected: string, received: string): never {
  throw new HyperArcError('E_NONFINITE', `step ${step}: expected ${expected}, received ${received}; ${NON_FINITE_FIX}`);
}

/**
 * Checks a batch's embeddings [B, D] before they reach the head.
 * @throws HyperArcError E_NONFINITE naming the rows and their images.
 */
export function checkEmbeddings(embeddingsBD: Float32Array, dim: number, context: BatchContext): void {
  const rows = nonFiniteRows(embeddingsBD, dim);
  if (rows.length === 0) return;
  const names = firstFew(rows.map((row) => `row ${row} (${context.nameOf(context.indices[row]!)})`));
  const all =
    rows.length === context.indices.length
      ? ' (all of the batch: the weights are the cause, or one image through batch norm)'
      : '';
  refuse(context, 'finite embeddings', `${describe(embeddingsBD)} in ${names}${all}`);
}

/** @throws HyperArcError E_NONFINITE naming the images of the batch. */
export function checkLoss(loss: number, context: BatchContext): void {
  if (Number.isFinite(loss)) return;
  const names = firstFew(Array.from(context.indices, context.nameOf));
  refuse(context, 'a finite loss', `${loss} from the batch ${names}`);
}

/**
 * Runs `compute`, and says at which step it was if a number in it is not finite.
 * @throws HyperArcError E_NONFINITE of `compute`, with the step and the fix.
 */
export function atStep<T>(context: BatchContext, compute: () => T): T {
  try {
    return compute();
  } catch (error) {
    // Messages that already name the step pass as they are.
    if (!(error instanceof HyperArcError) || error.code !== 'E_NONFINITE' || error.message.includes(NON_FINITE_FIX))
      throw error;
    const message = error.message.replace(/^E_NONFINITE: /, '');
    throw new HyperArcError('E_NONFINITE', `step ${context.step}: ${message}; ${NON_FINITE_FIX}`, { cause: error });
  }
}
