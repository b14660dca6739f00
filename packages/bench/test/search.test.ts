import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { agreement } from '../dist/search.js';

const MAIN = join(import.meta.dirname, '..', 'dist', 'main.js');

it('measures both searches, which agree, and keeps a record', () => {
  const results = mkdtempSync(join(tmpdir(), 'hyperarc-search-'));
  try {
    const sizes = ['--rows', '3000', '--probes', '5', '--dim', '16', '--k', '3', '--iterations', '1'];
    const table = execFileSync(process.execPath, [MAIN, 'search', ...sizes, '--results', results], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    expect(table).toContain('5 probes in a gallery of 3000×16, k = 3');
    expect(table).toMatch(/\| searchGallery \(engine\) \|.*\| 1\.00× \|\n\| tf\.matMul \+ tf\.topk of all \(\w+/);
    expect(table).toContain('100.00% of the nearest are the same.');
    const record = JSON.parse(readFileSync(join(results, 'search.jsonl'), 'utf8')) as Record<string, unknown>;
    expect(record).toMatchObject({ format: 'hyperarc-bench-search-1', shape: { rows: 3000, k: 3 }, agreement: 1 });
  } finally {
    rmSync(results, { recursive: true });
  }
});

it('counts what two searches have in common, probe by probe', () => {
  expect(agreement([1, 2, 3, 4], [2, 1, 4, 5], 2)).toBe(0.75);
});
