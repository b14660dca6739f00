import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { agreement } from '../dist/search.js';

const MAIN = join(import.meta.dirname, '..', 'dist', 'main.js');

/** What the command prints for a small gallery, and the record it keeps. */
function search(...flags: string[]): { table: string; record: Record<string, unknown> } {
  const results = mkdtempSync(join(tmpdir(), 'hyperarc-search-'));
  try {
    const sizes = ['--rows', '3000', '--probes', '5', '--dim', '16', '--k', '3', '--iterations', '1'];
    const table = execFileSync(process.execPath, [MAIN, 'search', ...sizes, ...flags, '--results', results], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const record = JSON.parse(readFileSync(join(results, 'search.jsonl'), 'utf8')) as Record<string, unknown>;
    return { table, record };
  } finally {
    rmSync(results, { recursive: true });
  }
}

it('measures both exact searches, which agree, and keeps a record', () => {
  const { table, record } = search();
  expect(table).toContain('5 probes in a gallery of 3000×16, k = 3');
  expect(table).toMatch(/\| searchGallery \(engine\) \|.*\| 1\.00× \|\n\| tf\.matMul \+ tf\.topk of all \(\w+/);
  expect(table).toContain('100.00% of the nearest are the same (tf.matMul + tf.topk of all).');
  const agreements = [{ method: 'naive', share: 1 }];
  expect(record).toMatchObject({ format: 'hyperarc-bench-search-2', shape: { rows: 3000, k: 3 }, agreements });
});

it('measures an index beside exact search, with its recall', () => {
  const { table, record } = search('--blocked-only', '--index', '--lists', '20', '--recall', '1', '--intrinsic', '4');
  expect(table).toContain('3000×16 near a space of 4 dimensions');
  expect(table).toMatch(/\| searchGallery .*\| 1\.00× \|\n\| buildIndex \(engine\) \|.*\n\| searchIndex \(engine\) \|/);
  expect(table).toMatch(/recall@1 100\.00%, recall@3 100\.00%, of 5 of 5 probes, .* \d+ of 20 lists a probe/);
  expect(table).toMatch(/Index and search together take \d+\.\d\d× the time of exact search, \d+\.\d\d× its processor/);
  expect(record).toMatchObject({ shape: { intrinsic: 4, lists: 20 }, agreements: [{ method: 'index', share: 1 }] });
});

it('counts what two searches have in common, probe by probe', () => {
  expect(agreement([1, 2, 3, 4], [2, 1, 4, 5], 2)).toBe(0.75);
});
