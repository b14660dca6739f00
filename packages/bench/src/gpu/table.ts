import { formatVerdicts } from '../verdicts.js';
import { rooflineMs, stepBytes, stepFlops } from './counts.js';
import type { GpuRecord } from './records.js';
import { caseName } from './records.js';
import { familiesOf, gpuVerdicts } from './verdicts.js';

const HEADER = [
  'case',
  'program',
  'B',
  'C',
  'rate',
  'precision',
  'p10 ms',
  'p50 ms',
  'p90 ms',
  'wall p50 ms',
  'TFLOP/s',
  'GB/s',
  'roofline ms',
  'of roofline',
  'copy MB',
  'extra MB',
];

const milliseconds = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));

function row(record: GpuRecord): string[] {
  const { axes, deviceMs, wallMs, extraBytes, copyBytes, facts, rates } = record;
  const program =
    facts['kernels'] === undefined
      ? caseName(record.program, axes, record.program)
      : `${record.program} ${facts['kernels']}`;
  const start = [record.case, program, String(axes.B), String(axes.C), String(axes.rate), axes.precision];
  if (deviceMs === undefined || wallMs === undefined) return [...start, 'skipped', ...Array<string>(9).fill('')];
  const roofline = rates === undefined ? undefined : rooflineMs(axes, rates);
  return [
    ...start,
    milliseconds(deviceMs.p10),
    milliseconds(deviceMs.p50),
    milliseconds(deviceMs.p90),
    milliseconds(wallMs.p50),
    (stepFlops(axes) / deviceMs.p50 / 1e9).toFixed(1),
    (stepBytes(axes) / deviceMs.p50 / 1e6).toFixed(0),
    roofline === undefined ? 'unknown' : milliseconds(roofline),
    roofline === undefined ? 'unknown' : `${((100 * roofline) / deviceMs.p50).toFixed(0)}%`,
    ((copyBytes ?? 0) / 1e6).toFixed(0),
    extraBytes === undefined ? 'unknown' : (extraBytes / 1e6).toFixed(0),
  ];
}

/** One run's records as Markdown: the machine and its rates, the table, what was skipped, the verdicts. */
export function formatGpuTable(records: readonly GpuRecord[]): string {
  const first = records[0];
  if (first === undefined) return 'No records.';
  const { environment, rates, run, quick, device } = first;
  const name = records.map(({ facts }) => facts['device']).find((found) => found !== undefined) ?? device;
  const measuredRates =
    rates === undefined
      ? 'rates of the GPU not measured (no torch), so the rooflines are unknown'
      : `measured in this run: bf16 GEMM ${(rates.gemmFlops / 1e12).toFixed(0)} TFLOP/s, copy ${(rates.copyBytes / 1e12).toFixed(2)} TB/s`;
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const skipped = records.filter((record) => record.skipped !== undefined);
  return [
    `Run ${run}${quick ? ' (quick: sizes that prove only that the harness works)' : ''}: ${name}; ${environment.cpu}; Node ${environment.node}; ` +
      `commit ${environment.commit?.slice(0, 12) ?? 'unknown'}${environment.dirty ? ' with changes' : ''}; ${measuredRates}.`,
    '',
    line(HEADER),
    line(HEADER.map((_, i) => (i < 2 || i === 5 ? '---' : '---:'))),
    ...records.map((record) => line(row(record))),
    '',
    ...skipped.map(({ case: name, axes, program, skipped: why }) => `Skipped ${caseName(name, axes, program)}: ${why}`),
    ...(skipped.length > 0 ? [''] : []),
    ...(quick
      ? []
      : familiesOf(records).flatMap((family) => [
          `Kernels ${family}:`,
          '```',
          formatVerdicts(gpuVerdicts(records, family)),
          '```',
        ])),
  ].join('\n');
}
