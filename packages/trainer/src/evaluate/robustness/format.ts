import type { Robustness } from './robustness.js';

const percent = (share: number): string => (100 * share).toFixed(2);

function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = header.map((_, column) => Math.max(...[header, ...rows].map((row) => row[column]!.length)));
  return [header, ...rows].map((cells) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '),
  );
}

/** The figures as lines of text. */
export function formatRobustness(robustness: Robustness): string {
  const { clean, cleanThreshold, fmrTarget, corruptions, yaw = [] } = robustness;
  const accuracy = corruptions.map(({ name, unit, severities }) => [
    name,
    percent(clean.accuracy.mean),
    ...severities.map((condition) => percent(condition.accuracy.mean)),
    `${severities.map(({ strength }) => strength).join(' ')} (${unit})`,
  ]);
  const which = robustness.corrupted === 'both' ? 'both images of a pair' : 'the second image of a pair';
  const lines = [
    `${robustness.data}: ${robustness.pairs} pairs of ${robustness.images} images; corrupted: ${which}`,
    '',
    'accuracy %, thresholds from the other folds of the same condition',
    ...table(['corruption', 'clean', '1', '2', '3', '4', '5', 'strengths'], accuracy),
  ];
  if (cleanThreshold === null) {
    lines.push('', `no rates at a fixed threshold: too few different pairs to measure FMR ${fmrTarget}`);
  } else {
    const cell = (rates: { fmr: number; fnmr: number } | null): string =>
      rates === null ? 'n/a' : `${percent(rates.fmr)}/${percent(rates.fnmr)}`;
    lines.push(
      '',
      `FMR/FNMR % at the clean images' threshold ${cleanThreshold.toFixed(4)} (FMR ≤ ${fmrTarget})`,
      ...table(
        ['corruption', 'clean', '1', '2', '3', '4', '5'],
        corruptions.map(({ name, severities }) => [
          name,
          cell(clean.atCleanThreshold),
          ...severities.map((condition) => cell(condition.atCleanThreshold)),
        ]),
      ),
    );
    if (yaw.length > 0) {
      lines.push(
        '',
        'clean pairs by the larger |yaw| of the two',
        ...table(
          ['degrees', 'same', 'different', 'AUC', 'FMR/FNMR %'],
          yaw.map((bin) => [
            `${bin.from}–${bin.to}`,
            String(bin.samePairs),
            String(bin.differentPairs),
            bin.auc === null ? 'n/a' : bin.auc.toFixed(4),
            cell(bin.atCleanThreshold),
          ]),
        ),
      );
    }
  }
  return lines.join('\n');
}
