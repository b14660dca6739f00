import { existsSync, readFileSync } from 'node:fs';

/** A line of what `run test` and `run sanitize` record (packages/kernels-cuda/test/gpu/report.ts); other lines have other fields. */
interface TestLine {
  group?: string;
  name?: string;
  status?: 'passed' | 'skipped' | 'failed' | 'not run';
  /** Of a process: what it said or how it ended. */
  part?: string;
  trouble?: string;
  /** The part, or where none is named the run, came to its end. */
  ended?: unknown;
}

/** A file that a run that was cut off wrote may end in the middle of a line. */
export function readTestLines(file: string): TestLine[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        return [JSON.parse(line) as TestLine];
      } catch {
        return [];
      }
    });
}

const NOT_RUN = 'not yet run';

function countsOf(lines: readonly TestLine[]): string {
  const count = (status: TestLine['status']) => lines.filter((line) => line.status === status).length;
  const parts = [`${count('passed')} passed`];
  for (const status of ['skipped', 'failed', 'not run'] as const) {
    if (count(status) > 0) parts.push(`${count(status)} ${status}`);
  }
  return parts.join(', ');
}

const TESTS: readonly [row: string, group: RegExp][] = [
  ['C++ tests of single kernels', /^C\+\+ tests of single kernels/],
  ['contract suite, every precision and kernel family', /^contract: /],
  ['10,000 random small shapes', /^random shapes/],
  ['C·D > 2³¹', /^C·D > 2³¹/],
  ['two runs, the same bits', /^two runs/],
  ['trouble: bad input, out of memory, two engines', /^trouble/],
];
const TOOLS = ['memcheck', 'racecheck', 'initcheck', 'synccheck'];

/** The rows of the proofs of docs/gpu-results.md. */
export function proofRows(tests: readonly TestLine[], sanitizer: readonly TestLine[]): [row: string, result: string][] {
  const rows = TESTS.map(([row, group]): [string, string] => {
    const own = tests.filter((line) => line.group !== undefined && group.test(line.group));
    if (own.length === 0) return [row, NOT_RUN];
    const cut = tests.some(({ part, ended }) => part === undefined && ended !== undefined)
      ? ''
      : '; the run was cut off';
    return [row, countsOf(own) + cut];
  });
  const tools = TOOLS.map((tool) => {
    const own = sanitizer.filter((line) => line.group?.startsWith(`${tool}: `));
    const troubles = sanitizer.flatMap(({ part, trouble }) =>
      part === tool && trouble !== undefined ? [trouble] : [],
    );
    if (own.length === 0 && troubles.length === 0) return `${tool} ${NOT_RUN}`;
    const found = troubles.length > 0 ? `; FAILED: ${[...new Set(troubles)].join(', ')}` : '';
    const cut = sanitizer.some(({ part, ended }) => part === tool && ended !== undefined) ? '' : '; cut off';
    return `${tool}: ${countsOf(own)}${found}${cut}`;
  });
  const isUnused = sanitizer.length === 0;
  rows.push([`compute-sanitizer: ${TOOLS.join(', ')}`, isUnused ? NOT_RUN : tools.join('; ')]);
  return rows;
}
