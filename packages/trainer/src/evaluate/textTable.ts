/** A share as a percentage with two digits. */
export const share = (value: number): string => (100 * value).toFixed(2);

/** A FAR as the field writes it: 1e-3. */
export const power = (far: number): string => far.toExponential(0);

/** Lines of columns: the first to the left, the others to the right. */
export function textTable(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const lines = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...lines.map((cells) => cells[column]!.length)));
  const pad = (cell: string, i: number): string => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!));
  return lines.map((cells) => cells.map(pad).join('  ').trimEnd());
}
