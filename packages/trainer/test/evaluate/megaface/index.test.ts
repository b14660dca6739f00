import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { evaluateMegaFace, type MegaFaceEvaluation } from '../../../dist/evaluate/megaface/evaluateMegaFace.js';
import { formatMegaFace } from '../../../dist/evaluate/megaface/format.js';
import { collectEnvironment } from '../../../dist/evaluate/index.js';
import { renderReport, writeReport } from '../../../dist/report/index.js';

const reference = join(import.meta.dirname, '../reference/protocols/MegaFace');
const features = {
  data: reference,
  probeFeatures: join(reference, 'probes.npy'),
  distractorFeatures: join(reference, 'distractors.npy'),
  device: 'cpu',
} as const;
const rates = ({ identification }: MegaFaceEvaluation) => identification.map(({ rate }) => rate);
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-megaface-index-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('evaluateMegaFace with an index', () => {
  it('has the exact rates with all lists, and upper bounds with fewer', async () => {
    const exact = await evaluateMegaFace(features);
    expect(exact.index).toBeNull();
    const all = await evaluateMegaFace({ ...features, index: { lists: 20, listsPerProbe: 20 } });
    expect(rates(all)).toEqual(rates(exact));
    expect(all).toMatchObject({ verification: null, index: { kind: 'ivf', seed: 0, lists: 20, compared: 1 } });
    let last = Infinity;
    for (const listsPerProbe of [1, 3, 8, 20]) {
      const found = await evaluateMegaFace({ ...features, index: { lists: 20, listsPerProbe, seed: 4 } });
      rates(found).forEach((rate, i) => expect(rate).toBeGreaterThanOrEqual(rates(exact)[i]!));
      // More lists, more distractors ahead of the mates.
      const sum = rates(found).reduce((total, rate) => total + rate, 0);
      expect(sum).toBeLessThanOrEqual(last);
      last = sum;
      if (listsPerProbe === 1) expect(rates(found)).not.toEqual(rates(exact));
      expect(found.index!.recall.map(({ k }) => k)).toEqual([1, 10]);
    }
  });

  it('says in its table what the rates are and how much was found', async () => {
    const found = await evaluateMegaFace({ ...features, index: { lists: 20, listsPerProbe: 3, checked: 7 } });
    const text = formatMegaFace(found);
    expect(text).toContain('60 pairs of probe and mate; upper bounds, for the index misses some distractors\n');
    expect(text).toMatch(
      /\nindex {2}3 of 20 lists for each probe, \d+\.\d\d% of all cosines; recall by exact search of 7 of the 18 probes, with 95% intervals\nrecall +@1 +@10\nshare % +\d+\.\d\d \[\d+\.\d\d, \d+\.\d\d\] +\d+\.\d\d \[\d+\.\d\d, \d+\.\d\d\]\n/,
    );
    expect(text).toContain('\nverification  left out: it is over all impostor pairs, of which an index sees some');
    const all = formatMegaFace(await evaluateMegaFace({ ...features, index: { lists: 20, listsPerProbe: 20 } }));
    expect(all).toMatch(/by exact search of all 18 probes\nrecall +@1 +@10\nshare % +100\.00 +100\.00\n/);
    expect(formatMegaFace(await evaluateMegaFace(features))).not.toMatch(/upper bounds|recall|left out: it/);
  });

  it('tells how far it is', async () => {
    const seen: string[] = [];
    const onProgress = (what: string, done: number, total: number) => seen.push(`${what} ${done} of ${total}`);
    await evaluateMegaFace({ ...features, index: { lists: 5 }, onProgress });
    expect(seen[0]).toBe('put into lists 597 of 597');
    expect(seen.at(-1)).toBe('searched 597 of 597');
  });

  it.each([
    [{ lists: 598 }, 'E_RANGE: lists: expected a whole number in [1, 597], the rows of the gallery, received 598'],
    [{ lists: 9, listsPerProbe: 10 }, 'E_RANGE: listsPerProbe: expected a whole number in [1, 9]'],
    [
      { recall: 0.99, checked: 17 },
      'which is as much as 17 checked probes can show, received 0.99; check 18 of the 18',
    ],
    [{ seed: -1 }, 'E_RANGE: seed'],
  ])('refuses %j before it embeds', async (index, message) => {
    let embedded = 0;
    const model = { predict: () => (embedded++, undefined as never) };
    const { data, device } = features;
    const search = evaluateMegaFace({ data, device, index }, { model, imageSize: 8, name: 'none' });
    await expect(search).rejects.toThrow(message);
    expect(embedded).toBe(0);
  });
});

describe('the report', () => {
  it('shows the rates, and what an index left out', async () => {
    const write = async (evaluation: object) => {
      writeFileSync(join(folder, 'megaface.json'), JSON.stringify(evaluation));
      return readFileSync(await writeReport({ runFolder: folder }), 'utf8').replace(/\s+/g, ' ');
    };
    const exact = await evaluateMegaFace(features);
    const plain = await write(exact);
    expect(plain).toContain('<h2>MegaFace (R)</h2>');
    expect(plain).toContain('<td>11.67%</td>');
    expect(plain).toContain('<th>TAR@1e-3</th>');
    expect(plain).not.toMatch(/upper bounds|[Rr]ecall/);
    const { index: _, ...older } = exact;
    expect(await write(older)).toContain('<td>11.67%</td>');

    const found = await evaluateMegaFace({ ...features, index: { lists: 20, listsPerProbe: 3, checked: 7 } });
    const report = await write(found);
    expect(report).toContain('The rates are upper bounds: the distractors were searched approximately.');
    expect(report).toMatch(/<td>≤ \d+\.\d\d%<\/td>/);
    expect(report).toMatch(/by exact search of 7 of the 18 probes, in brackets 95% intervals\./);
    expect(report).toMatch(/<th>recall@10<\/th>.*<td>\d+\.\d\d% \[\d+\.\d\d%, \d+\.\d\d%\]<\/td>/);
    expect(report).toContain('No verification');
    expect(report).not.toContain('TAR@1e-3');
    const empty = { title: 'run', createdAt: '2030-01-01T00:00:00.000Z', environment: collectEnvironment() };
    expect(renderReport(empty)).not.toContain('MegaFace');

    writeFileSync(join(folder, 'megaface.json'), '{}');
    await expect(writeReport({ runFolder: folder })).rejects.toThrow(
      'megaface.json: expected a file of format hyperarc-megaface-1; run hyperarc evaluate-megaface again',
    );
  });
});
