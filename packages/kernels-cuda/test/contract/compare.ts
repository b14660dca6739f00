/** Rows shorter than this share of the longest one compare absolutely. */
const SMALL_ROW = 1e-6;
/** Below this fp32 arithmetic loses digits to denormal numbers. */
const UNDERFLOW = 1e-30;
/** A row that cancels compares against this share of the sum of its parts' lengths. */
const CANCELLED_SHARE = 1e-2;

export interface Tolerance {
  /** Length of the difference over length of what is expected. */
  readonly relativeNorm: number;
  /** The same of the worst row. */
  readonly worstRow: number;
  /** Sum of the lengths of the parts that each row adds up; rows whose parts cancel are judged against it. */
  readonly rowMagnitudes?: ArrayLike<number>;
}

function length(values: ArrayLike<number>, from: number, to: number): number {
  let sum = 0;
  for (let e = from; e < to; e++) sum += values[e] ** 2;
  return Math.sqrt(sum);
}

/**
 * Throws unless `actual` equals `expected`, both [rows, columns], in relative norm and in every row; the message names the
 * worst row and shows its first numbers.
 */
export function expectRows(
  what: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  columns: number,
  { relativeNorm, worstRow, rowMagnitudes }: Tolerance,
): void {
  if (actual.length !== expected.length) {
    throw new Error(`${what}: expected ${expected.length} numbers, received ${actual.length}`);
  }
  const rows = expected.length / columns;
  const difference = Float64Array.from(expected, (value, e) => actual[e] - value);
  const expectedLengths = Array.from({ length: rows }, (_, r) => length(expected, r * columns, (r + 1) * columns));
  const longest = expectedLengths.reduce((a, b) => Math.max(a, b), 0);
  const floors = expectedLengths.map((_, r) => CANCELLED_SHARE * (rowMagnitudes?.[r] ?? 0));

  let worst = { row: 0, error: 0 };
  for (let r = 0; r < rows; r++) {
    const error = length(difference, r * columns, (r + 1) * columns);
    const against = Math.max(expectedLengths[r], SMALL_ROW * longest, floors[r], UNDERFLOW);
    const relative = error === 0 ? 0 : error / against;
    if (!(relative <= worst.error)) worst = { row: r, error: relative };
    if (Number.isNaN(relative)) break;
  }
  const error = length(difference, 0, difference.length);
  const against = Math.max(length(expected, 0, expected.length), length(floors, 0, rows), UNDERFLOW);
  const relative = error === 0 ? 0 : error / against;
  if (relative <= relativeNorm && worst.error <= worstRow) return;

  const head = (values: ArrayLike<number>) =>
    Array.from({ length: Math.min(columns, 6) }, (_, d) => values[worst.row * columns + d]).join(', ');
  throw new Error(
    `${what}: relative norm ${relative.toExponential(2)} (at most ${relativeNorm}), worst row ${worst.row} of ${rows} ` +
      `${worst.error.toExponential(2)} (at most ${worstRow})\n  expected ${head(expected)}\n  received ${head(actual)}`,
  );
}

/** Throws unless both hold the same numbers, bit for bit. */
export function expectSame(what: string, actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  if (actual.length !== expected.length) {
    throw new Error(`${what}: expected ${expected.length} numbers, received ${actual.length}`);
  }
  for (let e = 0; e < expected.length; e++) {
    if (!Object.is(actual[e], expected[e])) {
      throw new Error(`${what}: element ${e}: expected exactly ${expected[e]}, received ${actual[e]}`);
    }
  }
}
