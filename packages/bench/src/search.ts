import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { benchEnvironment } from './environment.js';
import type { SearchAnswer, SearchSpec } from './programs/search.js';

type Method = SearchSpec['method'];

export interface SearchShape extends Omit<SearchSpec, 'method'> {
  /** Leave the naive search out, which needs memory for the gallery again and for all cosines. */
  blockedOnly: boolean;
}

const TITLES: Readonly<Record<Method, string>> = { blocked: 'searchGallery', naive: 'tf.matMul + tf.topk of all' };

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

const best = ({ samples }: SearchAnswer): number => Math.min(...samples.map(({ elapsedMs }) => elapsedMs));

/** Share of the k nearest of `of` that `found` has too, over all probes. */
export function agreement(found: readonly number[], of: readonly number[], k: number): number {
  let same = 0;
  for (let first = 0; first < of.length; first += k) {
    const wanted = new Set(of.slice(first, first + k));
    for (const index of found.slice(first, first + k)) if (wanted.has(index)) same += 1;
  }
  return same / of.length;
}

/** Measures exact search, blocked and naive one after the other, adds a record to `results`, and returns a Markdown table. */
export function runSearch({ blockedOnly, ...shape }: SearchShape, results: string): string {
  const methods: Method[] = blockedOnly ? ['blocked'] : ['blocked', 'naive'];
  const answers = methods.map((method) => ({ method, answer: runChild({ ...shape, method }) }));
  const environment = benchEnvironment();
  const [first, second] = answers.map(({ answer }) => answer);
  const same = second && agreement(second.indices, first!.indices, shape.k);
  const record = {
    format: 'hyperarc-bench-search-1',
    run: new Date().toISOString(),
    shape,
    environment,
    methods: answers.map(({ method, answer: { indices: _, ...figures } }) => ({ method, ...figures })),
    agreement: same ?? null,
  };
  mkdirSync(results, { recursive: true });
  appendFileSync(join(results, 'search.jsonl'), `${JSON.stringify(record)}\n`);
  const { rows, dim, probes, k } = shape;
  const lines = answers.map(({ method, answer }) => {
    const ms = best(answer);
    const gflops = (2 * rows * dim * probes) / ms / 1e6;
    const megabytes = (bytes: number) => Math.round(bytes / 1e6);
    const ratio = (ms / best(first!)).toFixed(2);
    return `| ${TITLES[method]} (${answer.backend}) | ${(ms / 1e3).toFixed(2)} | ${gflops.toFixed(0)} | ${megabytes(answer.peakBytes)} | ${megabytes(answer.extraBytes)} | ${ratio}× |`;
  });
  return [
    `${probes} probes in a gallery of ${rows}×${dim}, k = ${k}, best of ${shape.iterations}, on ${environment.cpu}, ${environment.cores} cores:`,
    '',
    '| | s | GFLOP/s | peak MB | extra MB | time |',
    '| --- | ---: | ---: | ---: | ---: | ---: |',
    ...lines,
    ...(same === undefined ? [] : ['', `${(100 * same).toFixed(2)}% of the nearest are the same.`]),
  ].join('\n');
}
