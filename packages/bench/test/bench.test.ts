import { execFile } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { extraLimitBytes, headFlops, HEADS, listCases, persistentBytes, type Case } from '../dist/cases.js';
import { makeBatches } from '../dist/inputs.js';
import { percentile, MemoryWatch, processBytes, summarize } from '../dist/measure.js';
import { plotRun } from '../dist/plot.js';
import { appendRecord, readRecords, recordsOfRun, type CaseRecord } from '../dist/records.js';
import { groupCases } from '../dist/runner.js';
import { formatTable } from '../dist/table.js';
import { verdicts } from '../dist/verdicts.js';

const MAIN = join(import.meta.dirname, '..', 'dist', 'main.js');
const entryNamed = (name: string): Case => listCases(false).find((entry) => entry.name === name)!;

/** A record of a full-size case at `ms` milliseconds a step. */
function recordOf(name: string, ms: number | undefined, more: Partial<CaseRecord> = {}): CaseRecord {
  const { program, axes } = entryNamed(name);
  return {
    format: 'hyperarc-bench-1',
    run: '2030-01-01T00:00:00.000Z',
    quick: false,
    case: name,
    program,
    axes,
    threads: 2,
    facts: { loss: 44 },
    environment: {
      cpu: 'x',
      cores: 2,
      memoryBytes: 1,
      kernel: 'k',
      node: '20',
      commit: 'abcdef0123456789',
      dirty: true,
    },
    ...(ms === undefined
      ? { skipped: 'absent' }
      : {
          iterations: 3,
          elapsedMs: summarize([ms]),
          cpuMs: summarize([2 * ms]),
          gflops: headFlops(axes) / ms / 1e6,
          peakBytes: 1e9,
        }),
    ...more,
  };
}

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'hyperarc-bench-'))));
afterAll(() => rmSync(folder, { recursive: true }));

describe('figures', () => {
  it('percentiles as numpy.percentile', () => {
    expect(percentile([1, 2, 3, 10], 0.5)).toBe(2.5);
    expect(percentile([1, 2, 3, 10], 0.9)).toBeCloseTo(7.9, 12);
    expect(percentile([7], 0.1)).toBe(7);
    expect(summarize([10, 1, 3, 2])).toMatchObject({ min: 1, mean: 4, p50: 2.5 });
  });

  it('counts operations and bytes', () => {
    const { axes } = entryNamed('head-c1e5');
    expect(headFlops(axes)).toBe(4 * 2 * 128 * 100_000 * 512);
    expect(headFlops({ ...axes, rate: 0.1 })).toBeCloseTo(headFlops(axes) / 10, 0);
    expect(persistentBytes(axes)).toBe(2 * 4 * 100_000 * 512);
    expect(extraLimitBytes(axes)).toBe(64e6 + 16 * 4 * 128 * 512);
  });

  it('peak memory is at least what is resident', () => {
    expect(processBytes('VmHWM')).toBeGreaterThan(processBytes('RssAnon'));
    expect(processBytes('RssAnon')).toBeGreaterThan(1e6);
  });

  it('memory taken after the start is counted, garbage from before it is not', async () => {
    let garbage: unknown = Array.from({ length: 1e6 }, (_, i) => ({ i }));
    garbage = undefined;
    const memory = await MemoryWatch.begin();
    const taken = Buffer.alloc(200e6, 1);
    memory.look();
    expect(memory.takenBytes).toBeGreaterThan(190e6);
    expect(memory.takenBytes).toBeLessThan(225e6);
    expect([garbage, taken.length]).toEqual([undefined, 200e6]);
  });

  it('batches differ, are never zero, and name existing classes', () => {
    const axes = { ...entryNamed('head-c1e4').axes, B: 16, C: 50, D: 8 };
    const [first, second] = makeBatches(axes, 2);
    expect(first!.embeddingsBD).not.toEqual(second!.embeddingsBD);
    expect(first!.embeddingsBD.every((value) => Number.isFinite(value) && value !== 0)).toBe(true);
    expect(first!.labelsB.every((label) => label >= 0 && label < 50)).toBe(true);
    expect(makeBatches(axes, 1)[0]).toEqual(first);
  });
});

describe('cases', () => {
  it('have unique names, and the ones that are compared take turns', () => {
    const names = listCases(false).map((entry) => entry.name);
    expect(new Set(names).size).toBe(names.length);
    const speed = groupCases(listCases(false)).find((group) => group[0]!.group === 'speed')!;
    expect(speed.map((entry) => entry.program)).toEqual(['engine', 'pytorch', 'sgemm']);
  });

  it('time every head beside ArcFace, at both sizes', () => {
    const groups = groupCases(listCases(false)).filter((group) => group[0]!.group.startsWith('heads-'));
    expect(groups.map((group) => group.map(({ axes }) => axes.head))).toEqual([[...HEADS, 'circle-256'], [...HEADS]]);
    expect(groups.map(([first]) => first!.axes.C)).toEqual([10_000, 100_000]);
    for (const group of groups) {
      expect(group.every(({ ratioTo }) => ratioTo === group[0]!.name)).toBe(true);
      // A ratio is of rounds side by side.
      const compared = group.filter(({ axes }) => axes.head !== 'circle-256');
      expect(new Set(compared.map(({ rounds, iterations }) => `${rounds} × ${iterations}`)).size).toBe(1);
    }
  });

  it('quick keeps names and settings but for the sizes', () => {
    const [full, quick] = [listCases(false), listCases(true)];
    expect(quick.map((entry) => entry.name)).toEqual(full.map((entry) => entry.name));
    expect(quick.map(({ axes }) => [axes.rate, axes.K, axes.call])).toEqual(
      full.map(({ axes }) => [axes.rate, axes.K, axes.call]),
    );
    expect(quick.every(({ axes }) => axes.B * axes.C * axes.D < 1e6)).toBe(true);
  });
});

describe('records', () => {
  it('are appended; a torn last line is left out; the newest run is found', () => {
    const file = join(folder, 'a', 'records.jsonl');
    appendRecord(join(folder, 'a'), recordOf('head-c1e4', 5));
    const before = readFileSync(file, 'utf8');
    appendRecord(join(folder, 'a'), recordOf('head-c1e5', 50, { run: '2030-01-02T00:00:00.000Z' }));
    expect(readFileSync(file, 'utf8').startsWith(before)).toBe(true);
    appendFileSync(file, '{"format":"hyperarc-be');
    const records = readRecords(join(folder, 'a'));
    expect(records.map((record) => record.case)).toEqual(['head-c1e4', 'head-c1e5']);
    expect(recordsOfRun(records).map((record) => record.case)).toEqual(['head-c1e5']);
    expect(readRecords(join(folder, 'none'))).toEqual([]);
  });
});

describe('verdicts', () => {
  const good = [
    recordOf('head-c1e5', 250),
    recordOf('pytorch-c1e5', 1200),
    recordOf('sgemm-c1e5', 225),
    recordOf('head-c1e4', 25),
    recordOf('head-c1e6', 2500, { extraBytes: 20e6 }),
  ];
  const replace = (record: CaseRecord) => good.map((other) => (other.case === record.case ? record : other));

  it('pass on good figures', () => {
    expect(verdicts(good).map((verdict) => verdict.passed)).toEqual([true, true, true, true, true]);
    expect(verdicts(good)[1]!.answer).toMatch(/^4\.80×/);
    expect(verdicts(good)[2]!.answer).toMatch(/^90%/);
  });

  it.each([
    ['another loss', recordOf('pytorch-c1e5', 1200, { facts: { loss: 40 } }), 0],
    ['no loss', recordOf('pytorch-c1e5', 1200, { facts: {} }), 0],
    ['slower than PyTorch allows', recordOf('pytorch-c1e5', 800), 1],
    ['too far from sgemm', recordOf('sgemm-c1e5', 150), 2],
    ['not linear', recordOf('head-c1e6', 4000, { extraBytes: 20e6 }), 3],
    ['too much memory', recordOf('head-c1e6', 2500, { extraBytes: 70e6 }), 4],
  ])('fail: %s', (_, record, which) => {
    const passed = [true, true, true, true, true];
    passed[which] = false;
    expect(verdicts(replace(record)).map((verdict) => verdict.passed)).toEqual(passed);
  });

  it('are not answered where a case is missing or skipped', () => {
    const [, speed] = verdicts(replace(recordOf('pytorch-c1e5', undefined)));
    expect(speed).toMatchObject({ passed: undefined, answer: 'pytorch-c1e5 was skipped' });
    expect(verdicts([])[0]).toMatchObject({ passed: undefined });
  });

  it('stand below the table, with what was skipped', () => {
    const table = formatTable([...good, recordOf('tfjs-naive-c1e4-wasm', undefined)]);
    expect(table).toContain(
      '| head-c1e5 | engine | 128 | 100000 | 512 | 1 | 1 | 250 | 250 | 250 | 3 | 210 | 1000 |  |',
    );
    expect(table).toContain('Skipped tfjs-naive-c1e4-wasm: absent');
    expect(table).toContain('commit abcdef012345 with changes');
    expect(table).toMatch(/PASS {2}at least 3\.5× the speed of PyTorch/);
  });

  it('ratios to another case stand below the table', () => {
    const timing = summarize([1.5, 2, 2.5]);
    const record = recordOf('heads-c1e4-circle', 5, {
      facts: { negatives: 'by a rule' },
      ratio: { to: 'heads-c1e4-arcface', elapsed: timing, cpu: summarize([3]) },
    });
    const row = '| heads-c1e4-circle | by a rule | heads-c1e4-arcface | 1.60 | 2.00 | 2.40 | 3.00 |';
    expect(formatTable([...good, record])).toContain(row);
    expect(formatTable(good)).not.toContain('ratio to');
  });

  it('records without ratios, as the older ones, are still read', () => {
    const records = readRecords(join(import.meta.dirname, '..', 'results'));
    const [oldest] = records;
    expect(oldest!.ratio).toBeUndefined();
    expect(formatTable(recordsOfRun(records, oldest!.run))).toContain(`| ${oldest!.case} | `);
  });

  it('the plot has a line for each program', () => {
    const svg = plotRun(good);
    expect(svg).toMatch(/^<svg /);
    expect(svg).toContain('engine');
    expect(svg).toContain('pytorch');
    expect(svg).not.toContain('sgemm');
    expect(() => plotRun([recordOf('heads-c1e4-cosface', 5)])).toThrow(/^plot: expected a run with steps of the head/);
  });
});

describe('the program', () => {
  const bench = (args: string[], environment: Record<string, string> = {}) =>
    promisify(execFile)(process.execPath, [MAIN, ...args], { env: { ...process.env, ...environment } });

  it('measures in child processes, records, and draws', async () => {
    const results = join(folder, 'run');
    const cases = ['head-c1e5', 'head-c1e5-r0.1', 'head-c1e5-k3', 'tfjs-naive-c1e4-wasm', 'call-sample'];
    const { stdout } = await bench(['run', '--quick', '--threads', '2', '--results', results, '--case', ...cases]);
    const records = readRecords(results);
    expect(records.map((record) => record.case).sort()).toEqual([...cases].sort());
    for (const record of records) {
      expect(record).toMatchObject({ quick: true, threads: 2, format: 'hyperarc-bench-1' });
      expect(record.skipped).toBeUndefined();
      expect(record.elapsedMs!.p50).toBeGreaterThan(0);
      expect(record.elapsedMs!.p10).toBeLessThanOrEqual(record.elapsedMs!.p90);
      expect(record.peakBytes).toBeGreaterThan(1e7);
    }
    const head = records.find((record) => record.case === 'head-c1e5')!;
    expect(head.iterations).toBe(4);
    expect(head.facts['loss']).toBeGreaterThan(0);
    expect(head.extraBytes).toBeLessThan(extraLimitBytes(head.axes));
    expect(stdout).toContain('| head-c1e5 | engine');
    expect((await bench(['table', '--results', results])).stdout).toContain('| call-sample | calls');
    await bench(['plot', '--results', results]);
    expect(readFileSync(join(results, 'steps.svg'), 'utf8')).toContain('</svg>');
  });

  it('divides the rounds of each head by those of ArcFace', async () => {
    const results = join(folder, 'heads');
    const { stdout } = await bench(['run', '--quick', '--results', results, '--case', 'heads-c1e4']);
    const records = readRecords(results);
    expect(records.map(({ axes }) => axes.head)).toEqual([...HEADS, 'circle-256']);
    const [arcface, ...others] = records;
    expect(arcface!.ratio).toMatchObject({ to: 'heads-c1e4-arcface', elapsed: { p10: 1, p90: 1 }, cpu: { p50: 1 } });
    expect(others.every(({ ratio }) => ratio!.elapsed.p50 > 0 && ratio!.elapsed.p50 !== 1)).toBe(true);
    // Every head is a head of its own: no two find the same loss.
    expect(new Set(records.map(({ facts }) => facts['loss'])).size).toBe(records.length);
    const byRule = records.filter(({ facts }) => facts['negatives'] === 'by a rule').map(({ axes }) => axes.head);
    expect(byRule).toEqual(['curricularface', 'mv-softmax', 'inter-class-filter', 'circle', 'circle-256']);
    expect(stdout).toContain('| case | negatives | ratio to |');
  });

  it('says loudly that a peer is not there, and goes on', async () => {
    const results = join(folder, 'skipped');
    const { stdout } = await bench(['run', '--quick', '--results', results, '--case', 'pytorch-c1e5'], {
      HYPERARC_PYTHON: '/nowhere/python3',
    });
    expect(stdout).toMatch(/^SKIPPED pytorch-c1e5: .*\/nowhere\/python3/m);
    expect(readRecords(results)[0]!.skipped).toContain('ENOENT');
  });

  it('a child that dies ends the run with its last words and leaves no figure', async () => {
    const results = join(folder, 'died');
    const act = bench(['run', '--quick', '--results', results, '--case', 'pytorch-c1e5'], {
      HYPERARC_PYTHON: process.execPath,
    });
    await expect(act).rejects.toThrow(/child process ended with code 1[\s\S]*pytorch_partial_fc\.py/);
    expect(readRecords(results)).toEqual([]);
  });

  it('refuses an unknown case by name', async () => {
    await expect(bench(['run', '--case', 'nonsense'])).rejects.toThrow(/--case: expected a part of head-c1e5/);
  });
});
