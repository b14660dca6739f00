import type { Interval } from './bootstrap.js';
import type { Fairness, GroupFairness } from './fairness.js';

/** `1.2e-3` below a tenth of a percent, else `0.45%`. */
function rate(value: number | null): string {
  if (value === null) return 'n/a';
  return value === 0 || value >= 1e-3 ? `${(100 * value).toFixed(2)}%` : value.toExponential(1);
}

const between = (interval: Interval | null, show: (value: number) => string): string =>
  interval === null ? '' : ` [${show(interval.low)}, ${show(interval.high)}]`;

/** Why measures are undefined. */
function undefinedNotes({ groups, measures, alpha }: Fairness): string[] {
  const notes: string[] = [];
  const counts = [
    ['FMR', alpha > 0, 'different', (g: Fairness['groups'][number]) => [g.differentPairs, g.falseMatches] as const],
    ['FNMR', alpha < 1, 'same', (g: Fairness['groups'][number]) => [g.samePairs, g.falseNonMatches] as const],
  ] as const;
  for (const [name, used, kind, count] of counts) {
    if (!used) continue;
    const without = groups.filter((group) => count(group)[0] === 0).map(({ group }) => group);
    if (without.length > 0)
      notes.push(`${name} is undefined for ${without.join(', ')}: no ${kind} pair within the group`);
    const errorless = groups.filter((group) => count(group)[0] > 0 && count(group)[1] === 0).map(({ group }) => group);
    if (errorless.length > 0 && measures.inequity === null) {
      const [error, threshold] = name === 'FMR' ? ['false match', 'lower'] : ['false non-match', 'higher'];
      notes.push(
        `inequity is undefined: no ${error} of ${errorless.join(', ')}; more pairs or a ${threshold} threshold may show some`,
      );
    }
  }
  return notes;
}

/** Why figures that there are have no interval, a line for each reason. */
export function intervalNotes({ groups, measures, measureIntervalNote }: Fairness): string[] {
  const notes: string[] = [];
  for (const [name, of] of [
    ['FMR', (group: GroupFairness) => [group.fmr, group.fmrIntervalNote] as const],
    ['FNMR', (group: GroupFairness) => [group.fnmr, group.fnmrIntervalNote] as const],
  ] as const) {
    const groupsOf = new Map<string, string[]>();
    for (const group of groups) {
      const [rate, note] = of(group);
      if (rate !== null && note !== undefined) groupsOf.set(note, [...(groupsOf.get(note) ?? []), group.group]);
    }
    for (const [note, names] of groupsOf) notes.push(`no interval of ${name} for ${names.join(', ')}: ${note}`);
  }
  const measured = Object.values(measures).some((value) => value !== null);
  if (measured && measureIntervalNote !== undefined) notes.push(`no intervals of the measures: ${measureIntervalNote}`);
  return notes;
}

/** The figures as lines of text. */
export function formatFairness(fairness: Fairness): string {
  const { overall, threshold, fmrTarget, measures, measureIntervals, alpha, bootstrap } = fairness;
  const header = ['group', 'people', 'different', 'FMR', 'same', 'FNMR'];
  const rows = fairness.groups.map((group) => [
    group.group,
    String(group.identities),
    String(group.differentPairs),
    rate(group.fmr) + between(group.fmrInterval, rate),
    String(group.samePairs),
    rate(group.fnmr) + between(group.fnmrInterval, rate),
  ]);
  const widths = header.map((_, column) => Math.max(...[header, ...rows].map((row) => row[column]!.length)));
  const leftAligned = new Set([0, 3, 5]);
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (leftAligned.has(i) ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd();
  const decimal = (value: number): string => value.toFixed(4);
  const measure = (name: keyof typeof measures, label: string, fair: string): string => {
    const value = measures[name];
    const text = value === null ? 'undefined' : decimal(value) + between(measureIntervals[name], decimal);
    return `${label.padEnd(8)}  ${text}   (${fair} is fair)`;
  };
  const set = fmrTarget === null ? 'given' : `FMR ≤ ${fmrTarget} over all`;
  return [
    `${fairness.data}; groups of ${fairness.groupSource}`,
    `threshold ${threshold.toFixed(4)} (${set}): FMR ${rate(overall.fmr)} of ${overall.differentPairs} different pairs, FNMR ${rate(overall.fnmr)} of ${overall.samePairs} same pairs`,
    '',
    line(header),
    ...rows.map(line),
    '',
    measure('fdr', 'FDR', '1'),
    measure('inequity', 'inequity', '1'),
    measure('garbe', 'GARBE', '0'),
    `α = ${alpha}; in brackets ${100 * bootstrap.confidence}% intervals of ${bootstrap.replicates} replicates over people within groups`,
    ...(fairness.people === undefined ? [] : [fairness.people]),
    ...undefinedNotes(fairness),
    ...intervalNotes(fairness),
  ].join('\n');
}
