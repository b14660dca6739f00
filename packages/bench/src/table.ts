import type { CaseRecord } from './records.js';
import { formatVerdicts, verdicts } from './verdicts.js';

const milliseconds = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
const megabytes = (bytes: number | undefined): string => (bytes === undefined ? '' : (bytes / 1e6).toFixed(0));

/** One run's records as Markdown: a line on the machine, a table, the verdicts. */
export function formatTable(records: readonly CaseRecord[]): string {
  const first = records[0];
  if (first === undefined) return 'No records.';
  const { cpu, cores, node, commit, dirty, kernel } = first.environment;
  const header = [
    'case',
    'program',
    'B',
    'C',
    'D',
    'K',
    'rate',
    'p10 ms',
    'p50 ms',
    'p90 ms',
    'n',
    'GFLOP/s',
    'peak MB',
    'extra MB',
  ];
  const rows = records.map((record) => {
    const { axes, elapsedMs } = record;
    const shape = [axes.B, axes.C, axes.D, axes.K, axes.rate].map(String);
    const variant = record.facts['kernels'] ?? record.facts['instructionSet'] ?? axes.backend;
    const who = [record.case, variant === undefined ? record.program : `${record.program} ${variant}`];
    if (elapsedMs === undefined) return [...who, ...shape, 'skipped', '', '', '', '', '', ''];
    return [
      ...who,
      ...shape,
      milliseconds(elapsedMs.p10),
      milliseconds(elapsedMs.p50),
      milliseconds(elapsedMs.p90),
      String(record.iterations),
      record.gflops === undefined ? '' : record.gflops.toFixed(record.gflops < 10 ? 1 : 0),
      megabytes(record.peakBytes),
      megabytes(record.extraBytes),
    ];
  });
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const skipped = records.filter((record) => record.skipped !== undefined);
  return [
    `Run ${first.run}${first.quick ? ' (quick: sizes that prove only that the harness works)' : ''}: ${cpu}, ${cores} cores, ` +
      `${first.threads} threads; ${kernel}, Node ${node}; commit ${commit?.slice(0, 12) ?? 'unknown'}${dirty ? ' with changes' : ''}.`,
    '',
    line(header),
    line(header.map((_, i) => (i < 2 ? '---' : '---:'))),
    ...rows.map(line),
    '',
    ...skipped.map((record) => `Skipped ${record.case}: ${record.skipped}`),
    ...(skipped.length > 0 ? [''] : []),
    ...(first.quick ? [] : ['```', formatVerdicts(verdicts(records)), '```']),
  ].join('\n');
}
