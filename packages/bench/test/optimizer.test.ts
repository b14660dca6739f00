import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';

import { runOptimizer } from '../dist/optimizer.js';

it('times every update beside forward and backward, and records it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hyperarc-bench-'));
  try {
    const table = await runOptimizer('auto', folder, [{ backbone: 'iresnet10-w16', batch: 1 }], 1);
    const record = JSON.parse(readFileSync(join(folder, 'optimizer.jsonl'), 'utf8')) as {
      rows: { update: string; gradientMs: number; updateMs: number }[];
    };
    expect(record.rows.map(({ update }) => update)).toEqual(['sgd', 'adamw', 'average']);
    for (const { gradientMs, updateMs } of record.rows) {
      expect(gradientMs).toBeGreaterThan(0);
      expect(updateMs).toBeGreaterThan(0);
    }
    expect(table).toMatch(
      /^\| iresnet10-w16, B = 1 \| adamw \| \d+ \| [\d.]+ \| [\d.]+% \| \d+ \| [\d.]+ \| [\d.]+% \|$/m,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
