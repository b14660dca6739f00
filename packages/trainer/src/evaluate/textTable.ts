/** Rows of equally many cells as lines of equal columns: the first to the left, the others to the right. */
export function alignColumns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd(),
  );
}

/** A share in percent with two digits; n/a for null. */
export const percent = (share: number | null): string => (share === null ? 'n/a' : (100 * share).toFixed(2));

/** A FAR as the field writes it: 1e-3. */
export const powerOfTen = (far: number): string => far.toExponential().replace('e+', 'e');

/** A line for each FAR that could not be measured. */
export const farNotes = (figures: readonly { far: number; note?: string }[]): string[] =>
  figures.flatMap(({ far, note }) => (note === undefined ? [] : [`FAR ${powerOfTen(far)} ${note}`]));
