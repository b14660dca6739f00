import type { PartResult } from './day.js';
import type { GpuRecord } from './records.js';
import { formatGpuTable } from './table.js';
import { familiesOf, gpuVerdicts } from './verdicts.js';

const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
const WORD = { true: 'PASS', false: 'FAIL' } as const;

/** Each family's answer to a bar: "mma 9.10 ms FAIL; wgmma 7.20 ms PASS". */
function measuredCell(records: readonly GpuRecord[], index: number): string {
  const families = familiesOf(records);
  if (families.length === 0) return 'not yet run';
  return families
    .map((family) => {
      const { answer, passed } = gpuVerdicts(records, family)[index]!;
      return passed === undefined ? `${family}: ${answer}` : `${family}: ${answer} ${WORD[`${passed}`]}`;
    })
    .join('; ');
}

/** The two tables of docs/gpu-results.md. */
export function formatGpuResults(
  records: readonly GpuRecord[],
  proofs: readonly [row: string, result: string][],
): string {
  return [
    line(['case', 'bar', 'measured']),
    line(['---', '---', '---']),
    ...gpuVerdicts([]).map(({ case: about, bar }, index) => line([about, bar, measuredCell(records, index)])),
    '',
    line(['proof', 'result']),
    line(['---', '---']),
    ...proofs.map(line),
  ].join('\n');
}

/** What a run of all parts came to, in Markdown. */
export function formatSummary(
  commit: string,
  parts: readonly PartResult[],
  records: readonly GpuRecord[],
  proofs: readonly [row: string, result: string][],
): string {
  const say = ({ name, status, seconds }: PartResult) =>
    status === undefined
      ? `- ${name}: not run for want of time`
      : `- ${name}: ${status === 0 ? 'passed' : `FAILED (${status})`} in ${seconds.toFixed(0)} s`;
  return [
    `# HyperArc ${commit} on a GPU`,
    '',
    ...parts.map(say),
    '',
    formatGpuResults(records, proofs),
    '',
    ...(records.length > 0 ? [formatGpuTable(records), ''] : []),
  ].join('\n');
}
