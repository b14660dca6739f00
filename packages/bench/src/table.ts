import type { CaseRecord } from './records.js';
import { formatVerdicts, verdicts } from './verdicts.js';

const milliseconds = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
const megabytes = (bytes: number | undefined): string => (bytes === undefined ? '' : (bytes / 1e6).toFixed(0));

const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;

/** The heads' cases beside the one they are divided by; no lines where no record has a ratio. */
function ratioTable(records: readonly CaseRecord[]): string[] {
  const compared = records.filter((record) => record.ratio !== undefined);
  if (compared.length === 0) return [];
  const header = ['case', 'negatives', 'ratio to', 'wall p10', 'wall p50', 'wall p90', 'cpu p50'];
  const rows = compared.map(({ case: name, facts, ratio }) => {
    const { to, elapsed, cpu } = ratio!;
    const figures = [elapsed.p10, elapsed.p50, elapsed.p90, cpu.p50].map((value) => value.toFixed(2));
    return line([name, String(facts['negatives'] ?? ''), to, ...figures]);
  });
  return ['', line(header), line(header.map((_, i) => (i < 3 ? '---' : '---:'))), ...rows];
}

/** One run's records as Markdown: a line on the machine, a table, the ratios, the verdicts. */
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
  const skipped = records.filter((record) => record.skipped !== undefined);
  return [
    `Run ${first.run}${first.quick ? ' (quick: sizes that prove only that the harness works)' : ''}: ${cpu}, ${cores} cores, ` +
      `${first.threads} threads; ${kernel}, Node ${node}; commit ${commit?.slice(0, 12) ?? 'unknown'}${dirty ? ' with changes' : ''}.`,
    '',
    line(header),
    line(header.map((_, i) => (i < 2 ? '---' : '---:'))),
    ...rows.map(line),
    ...ratioTable(records),
    '',
    ...skipped.map((record) => `Skipped ${record.case}: ${record.skipped}`),
    ...(skipped.length > 0 ? [''] : []),
    ...(first.quick ? [] : ['```', formatVerdicts(verdicts(records)), '```']),
  ].join('\n');
}
