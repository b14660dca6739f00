import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { benchEnvironment } from './environment.js';
import type { Sample } from './measure.js';
import type { SearchAnswer, SearchSpec } from './programs/search.js';

type Method = SearchSpec['method'];

export interface SearchShape extends Omit<SearchSpec, 'method'> {
  iterations: number;
  /** Leave the naive search out, which needs memory for the gallery again and for all cosines. */
  blockedOnly: boolean;
  /** Search through an index too. */
  index: boolean;
}

const TITLES: Readonly<Record<Method, string>> = {
  blocked: 'searchGallery',
  naive: 'tf.matMul + tf.topk of all',
  index: 'searchIndex',
};

/** One method in its own process, so that its peak memory is its own. */
function runChild(spec: SearchSpec): SearchAnswer {
  const script = join(import.meta.dirname, 'programs', 'search.js');
  const out = execFileSync(process.execPath, [script, JSON.stringify(spec)], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 28,
  });
  return JSON.parse(out) as SearchAnswer;
}

/** What a method's children answered, one an iteration. */
interface Measured {
  readonly method: Method;
  readonly answers: readonly SearchAnswer[];
}

const fastest = (samples: readonly Sample[]): Sample =>
  samples.reduce((best, sample) => (sample.elapsedMs < best.elapsedMs ? sample : best));

const searchTime = ({ answers }: Measured): Sample => fastest(answers.map(({ sample }) => sample));
const buildTime = ({ answers }: Measured): Sample => fastest(answers.map(({ index }) => index!.build));

/** Share of the k nearest of `of` that `found` has too, over all probes. */
export function agreement(found: readonly number[], of: readonly number[], k: number): number {
  let same = 0;
  for (let first = 0; first < of.length; first += k) {
    const wanted = new Set(of.slice(first, first + k));
    for (const index of found.slice(first, first + k)) if (wanted.has(index)) same += 1;
  }
  return same / of.length;
}

/** Measures the searches in turns, adds a record to `results`, and returns a Markdown table. */
export function runSearch({ blockedOnly, index, iterations, ...shape }: SearchShape, results: string): string {
  const methods: Method[] = [
    'blocked',
    ...(index ? ['index' as const] : []),
    ...(blockedOnly ? [] : ['naive' as const]),
  ];
  const turns = Array.from({ length: iterations }, () => methods.map((method) => runChild({ ...shape, method })));
  const measured = methods.map((method, m): Measured => ({ method, answers: turns.map((answers) => answers[m]!) }));
  const environment = benchEnvironment();
  const exact = measured[0]!.answers[0]!.indices;
  const agreements = measured.slice(1).map(({ method, answers }) => ({
    method,
    share: agreement(answers[0]!.indices, exact, shape.k),
  }));
  const record = {
    format: 'hyperarc-bench-search-2',
    run: new Date().toISOString(),
    shape: { ...shape, iterations },
    environment,
    methods: measured.map(({ method, answers }) => ({
      method,
      backend: answers[0]!.backend,
      turns: answers.map(({ indices: _, backend: _backend, ...figures }) => figures),
    })),
    agreements,
  };
  mkdirSync(results, { recursive: true });
  appendFileSync(join(results, 'search.jsonl'), `${JSON.stringify(record)}\n`);
  const { rows, dim, probes, k, intrinsic } = shape;
  const kind = intrinsic === 0 ? '' : ` near a space of ${intrinsic} dimensions`;
  return [
    `${probes} probes in a gallery of ${rows}×${dim}${kind}, k = ${k}, best of ${iterations}, on ${environment.cpu}, ${environment.cores} cores:`,
    '',
    '| | s | processor s | GFLOP/s | peak MB | extra MB | time |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...measured.flatMap((of) => tableRows(of, shape, searchTime(measured[0]!))),
    '',
    ...measured.flatMap((of) => (of.method === 'index' ? indexLines(of, searchTime(measured[0]!)) : [])),
    ...agreements.map(
      ({ method, share }) => `${(100 * share).toFixed(2)}% of the nearest are the same (${TITLES[method]}).`,
    ),
  ].join('\n');
}

function tableRows(of: Measured, { rows, dim, probes }: Omit<SearchSpec, 'method'>, exact: Sample): string[] {
  const { method, answers } = of;
  const megabytes = (bytes: number) => String(Math.round(bytes / 1e6));
  const line = (title: string, { elapsedMs, cpuMs }: Sample, ...cells: string[]) =>
    `| ${title} | ${(elapsedMs / 1e3).toFixed(2)} | ${(cpuMs / 1e3).toFixed(2)} | ${cells.join(' | ')} | ${(elapsedMs / exact.elapsedMs).toFixed(2)}× |`;
  const time = searchTime(of);
  const gigaflops = method === 'index' ? '' : ((2 * rows * dim * probes) / time.elapsedMs / 1e6).toFixed(0);
  const memory = [
    megabytes(Math.max(...answers.map(({ peakBytes }) => peakBytes))),
    megabytes(Math.max(...answers.map(({ extraBytes }) => extraBytes))),
  ];
  return [
    ...(method === 'index' ? [line('buildIndex (engine)', buildTime(of), '', '', '')] : []),
    line(`${TITLES[method]} (${answers[0]!.backend})`, time, gigaflops, ...memory),
  ];
}

/** What an index found, and from how many searches on it pays. */
function indexLines(of: Measured, exact: Sample): string[] {
  const { lists, listsPerProbe, compared, recall } = of.answers[0]!.index!;
  const percent = (share: number) => `${(100 * share).toFixed(2)}%`;
  const { checked, probes } = recall[0]!;
  const shares = recall.map((figure) => {
    const interval = checked === probes ? '' : ` [${percent(figure.low)}, ${percent(figure.high)}]`;
    return `recall@${figure.k} ${percent(figure.recall)}${interval}`;
  });
  const [build, search] = [buildTime(of), searchTime(of)];
  const both = (build.elapsedMs + search.elapsedMs) / exact.elapsedMs;
  const cpuBoth = (build.cpuMs + search.cpuMs) / exact.cpuMs;
  return [
    `${shares.join(', ')}, of ${checked} of ${probes} probes, which searchIndex searched exactly in its time; ${listsPerProbe} of ${lists} lists a probe, ${percent(compared)} of all cosines.`,
    `Index and search together take ${both.toFixed(2)}× the time of exact search, ${cpuBoth.toFixed(2)}× its processor time.`,
  ];
}
