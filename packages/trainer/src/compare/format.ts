import type { Comparison, FigureRow } from './compareRuns.js';

const NONE = '–';

/** A row's values as they are written, the better ones (of those that differ) marked. */
export function figureCells({ values, format, better }: FigureRow): { text: string; best: boolean }[] {
  const known = values.filter((value) => value !== undefined);
  const best = better === 'high' ? Math.max(...known) : Math.min(...known);
  const differ = better !== undefined && new Set(known).size > 1;
  return values.map((value) => ({
    text: value === undefined ? NONE : format(value),
    best: differ && value === best,
  }));
}

/** A setting without the quotes of its JSON. */
export const settingText = (json: string | undefined): string =>
  json === undefined ? 'unset' : json.replace(/^"(.*)"$/, '$1');

/** Rows of cells in columns: names to the left, values to the right. */
function layout(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '))
    .join('\n');
}

/** The comparison as text, in one table: what differs in the configurations, then the figures; `*` marks the better one. */
export function formatComparison({ runs, settings, figures, notes }: Comparison): string {
  const header = ['', ...runs.map(({ name }) => name)];
  const blank = header.map(() => '');
  const rows = [
    header,
    ...(settings.length === 0
      ? [['the same configuration', ...blank.slice(1)]]
      : settings.map(({ name, values }) => [name, ...values.map(settingText)])),
    blank,
    ...figures.map((row) => [row.name, ...figureCells(row).map(({ text, best }) => (best ? `* ${text}` : text))]),
  ];
  const lines = layout(rows)
    .split('\n')
    .map((line) => line.trimEnd());
  return [...lines, ...notes.map((note) => `note: ${note}`)].join('\n');
}
