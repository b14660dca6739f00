import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initBackend } from '@hyperarc/trainer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { angleStatistics } from '../dist/heads/angles.js';
import { Clusters } from '../dist/heads/clusters.js';
import { labelNoise } from '../dist/heads/label-noise.js';
import { countOf, longTail } from '../dist/heads/long-tail.js';
import { quality, rankCorrelation } from '../dist/heads/quality.js';
import { formatHeads, plotCircles, writeCircles, type HeadsRecord } from '../dist/heads/report.js';
import { COMPARED, tighten } from '../dist/heads/tighten.js';
import { headVerdicts } from '../dist/heads/verdicts.js';

const folder = mkdtempSync(join(tmpdir(), 'hyperarc-heads-'));
afterAll(() => rmSync(folder, { recursive: true }));
beforeAll(async () => void (await initBackend('cpu')));

describe('angle statistics', () => {
  it('are those of a figure drawn by hand', () => {
    const at = (degrees: number, length: number): number[] => {
      const angle = (degrees * Math.PI) / 180;
      return [length * Math.cos(angle), length * Math.sin(angle)];
    };
    // Classes around 0°, 90° and 200°; the last sample of class 2 lies nearer to class 1's mean direction.
    const embeddings = [at(-10, 2), at(10, 5), at(80, 1), at(100, 1), at(250, 1), at(150, 1), at(200, 1), at(130, 9)];
    const labels = Int32Array.from([0, 0, 1, 1, 2, 2, 2, 2]);
    const { intraClass, interClass, nearestMean } = angleStatistics(embeddings, labels, 3);
    expect(nearestMean).toBe(7 / 8);
    const sum = [250, 150, 200, 130].map((angle) => at(angle, 1)).reduce(([x, y], [u, v]) => [x + u, y + v]);
    const mean = (Math.atan2(sum[1], sum[0]) * 180) / Math.PI + 360;
    const within = [250, 150, 200, 130].map((angle) => Math.abs(angle - mean));
    expect(intraClass).toBeCloseTo((4 * 10 + within.reduce((a, b) => a + b)) / 8, 6);
    expect(interClass).toBeCloseTo((90 + 90 + (mean - 90)) / 3, 6);
  });
});

describe('rank correlation', () => {
  it('is Spearman’s, with shared ranks for ties', () => {
    expect(rankCorrelation([1, 2, 3, 4], [10, 20, 25, 99])).toBeCloseTo(1, 12);
    expect(rankCorrelation([1, 2, 3, 4], [4, 3, 2, 1])).toBeCloseTo(-1, 12);
    // numpy.corrcoef of the ranks 0, 1.5, 1.5, 3, 4 and 1, 0, 3.5, 3.5, 2.
    expect(rankCorrelation([1, 2, 2, 3, 7], [2, 1, 4, 4, 3])).toBeCloseTo(0.39473684210526316, 12);
  });
});

describe('clusters', () => {
  it('share identities between draws, and nothing else', () => {
    const clusters = new Clusters({ identities: 3, inputs: 4, spread: 0.01, seed: 1 });
    const [first, again, other] = [
      clusters.draw(0, () => 2),
      clusters.draw(0, () => 2),
      clusters.draw(1, (j) => j + 1),
    ];
    expect(again.values).toEqual(first.values);
    expect(other.labels).toEqual(Int32Array.from([0, 1, 1, 2, 2, 2]));
    expect(Math.abs(other.values[0] - first.values[0])).toBeLessThan(0.2);
    expect(other.values[0]).not.toBe(first.values[0]);
  });

  it('of the long tail run from 200 samples to 4', () => {
    expect(countOf(0)).toBe(200);
    expect(countOf(39)).toBe(4);
    for (let j = 1; j < 40; j++) expect(countOf(j)).toBeLessThanOrEqual(countOf(j - 1));
  });
});

describe('verdicts', () => {
  const recorded = readFileSync(new URL('../results/heads.jsonl', import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .at(-1)!;
  const record = JSON.parse(recorded) as HeadsRecord;

  it('of the newest record are met', () => {
    for (const { question, answer, passed } of headVerdicts(record))
      expect(passed, `${question}: ${answer}`).toBe(true);
  });

  it('are not met by experiments that show nothing', () => {
    const { tighten: rows, labelNoise: noise, quality: norms, longTail: tail } = record;
    const [normface] = rows.filter(({ head }) => head === 'normface');
    const nothing = {
      tighten: rows.map((row) => ({ ...row, intraClass: normface.intraClass })),
      labelNoise: noise.map((row) => ({ ...row, recall: 0.5 })),
      quality: { ...norms, rows: norms.rows.map((row) => ({ ...row, withinPicture: 0.3 })) },
      longTail: [tail[0], tail[0]],
    };
    expect(headVerdicts(nothing).map(({ passed }) => passed)).toEqual([false, false, false, false]);
  });
});

it('every experiment runs, and its report has a row for each result', { timeout: 240_000 }, async () => {
  const tightened = tighten(2);
  const record = {
    tighten: tightened.rows,
    labelNoise: await labelNoise(2),
    quality: await quality(2),
    longTail: longTail(2, 1),
  };
  const rows = formatHeads(record)
    .split('\n')
    .filter((line) => line.startsWith('|'));
  expect(rows).toHaveLength(4 * 2 + 2 * COMPARED.length + 4 + 3 + 2);
  for (const { intraClass, nearestMean } of record.tighten) {
    expect(intraClass).toBeGreaterThan(0);
    expect(nearestMean).toBeLessThanOrEqual(1);
  }
  const svg = plotCircles(tightened);
  for (const [head] of COMPARED) expect(svg).toContain(head);
  const picture = join(folder, 'circles.png');
  await writeCircles(tightened, picture);
  expect(readFileSync(picture).subarray(1, 4).toString()).toBe('PNG');
});
