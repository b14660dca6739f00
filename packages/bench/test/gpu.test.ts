import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openDevice } from '@hyperarc/kernels-cuda';
import { centerGradient, forward } from '@hyperarc/kernels-cuda/reference';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listGpuCases } from '../dist/gpu/cases.js';
import { keptBytes, rooflineMs, stepBytes, stepFlops, stepWork } from '../dist/gpu/counts.js';
import { proofRows } from '../dist/gpu/proofs.js';
import type { GpuRecord } from '../dist/gpu/records.js';
import { formatGpuResults } from '../dist/gpu/results.js';
import { relativeError, rowGradient } from '../dist/gpu/row-check.js';
import { formatGpuTable } from '../dist/gpu/table.js';
import { gpuVerdicts } from '../dist/gpu/verdicts.js';
import { makeBatches } from '../dist/inputs.js';
import { summarize } from '../dist/measure.js';

const entryNamed = (name: string) => listGpuCases(false).find((entry) => entry.name === name)!;
const RATES = { gemmFlops: 790e12, copyBytes: 4.3e12 };

function recordOf(name: string, ms: number | undefined, more: Partial<GpuRecord> = {}): GpuRecord {
  const { program, axes } = entryNamed(name);
  const environment = {
    cpu: 'x',
    cores: 2,
    memoryBytes: 1,
    kernel: 'k',
    node: '20',
    commit: 'abcdef0123456789',
    dirty: false,
  };
  return {
    format: 'hyperarc-gpu-bench-1',
    run: '2030-01-01T00:00:00.000Z',
    quick: false,
    case: name,
    program,
    axes,
    device: 'cuda:0',
    facts: {
      loss: 44,
      device: 'NVIDIA H200',
      worstRow: 1e-3,
      ...(program === 'head' && { kernels: 'wgmma-bf16-d512' }),
    },
    environment,
    rates: RATES,
    ...(ms === undefined
      ? { skipped: 'absent' }
      : { deviceMs: summarize([ms]), wallMs: summarize([ms + 0.3]), extraBytes: 100e6, copyBytes: 0 }),
    ...more,
  };
}

describe('counts', () => {
  const { axes } = entryNamed('full-1m');
  const elements = 1e6 * 512;

  it('operations: the four matrix products', () => {
    expect(stepFlops(axes)).toBe(8 * 1024 * elements);
    expect(stepFlops({ ...axes, rate: 0.1 })).toBe(0.8 * 1024 * elements);
  });

  it('bytes: each once a pass, by precision', () => {
    // Samples: x in and dX out in pass 1, x̂ in pass 2.
    const samples = 3 * 4 * 1024 * 512;
    expect(stepBytes(axes)).toBe(22 * elements + samples);
    expect(stepBytes({ ...axes, precision: 'bf16-master' })).toBe(10 * elements + samples);
    expect(stepBytes({ ...axes, precision: 'fp32' })).toBe(20 * elements + samples);
    expect(stepWork(axes).pass1.bytes).toBe(2 * elements + (2 / 3) * samples);
  });

  it('what stays: the copy of the weights counts by itself', () => {
    expect(keptBytes(axes)).toEqual({ weightsAndMomentum: 8 * elements, copy: 2 * elements });
    expect(keptBytes({ ...axes, precision: 'bf16-master' })).toEqual({ weightsAndMomentum: 4 * elements, copy: 0 });
  });

  it('roofline: in each pass the longer of arithmetic and traffic', () => {
    // B = 1024: both passes bound by arithmetic, 2.65 ms each; at B = 128 by traffic.
    expect(rooflineMs(axes, RATES)).toBeCloseTo(2 * 2.655, 2);
    const small = { ...axes, B: 128 };
    const { pass1, pass2 } = stepWork(small);
    expect(rooflineMs(small, RATES)).toBeCloseTo(1e3 * (pass1.flops / 790e12 + pass2.bytes / 4.3e12), 6);
    expect(rooflineMs(small, { ...RATES, copyBytes: 1e12 })).toBeCloseTo((1e3 * (pass1.bytes + pass2.bytes)) / 1e12, 6);
  });
});

describe('the check of sampled rows', () => {
  it('finds the gradient of the reference from the losses alone', () => {
    const [B, C, D] = [12, 40, 16];
    const [{ embeddingsBD: embeddings, labelsB: labels }] = makeBatches({ B, C, D }, 1);
    const rule = { scale: 64, m1: 1, m2: 0.5, m3: 0, fallback: 'none', gradient: 'straight-through' } as const;
    const device = openDevice('cpu', { threads: 1 });
    const centers = device.createCenters({ classes: C, dim: D, seed: 3, stddev: 0.3 });
    const weights = centers.readRows(0, C);
    const shape = { classes: C, subCenters: 1, dim: D, firstClass: 0, globalClasses: C, weights };
    const expected = centerGradient(shape, [forward([shape], { embeddings, labels, rule }, [undefined])], 0);
    const { lossPerSample } = centers.forward({ embeddings, labels, margin: rule });
    device.dispose();
    const row = (r: number) => weights.slice(r * D, (r + 1) * D);
    const targets = new Map(Array.from(labels, (label) => [label, row(label)]));
    const step = { embeddings, labels, lossPerSample, scale: 64, m2: 0.5, precision: 'fp32' } as const;
    for (let r = 0; r < C; r++) {
      const found = rowGradient(step, r, row(r), targets);
      expect(relativeError(found, expected.slice(r * D, (r + 1) * D))).toBeLessThan(1e-4);
    }
    // Rounded operands are another problem, a little.
    const rounded = relativeError(
      rowGradient({ ...step, precision: 'bf16' }, 0, row(0), targets),
      expected.slice(0, D),
    );
    expect(rounded).toBeGreaterThan(1e-4);
    expect(rounded).toBeLessThan(0.3);
  });
});

describe('verdicts', () => {
  const good = [
    recordOf('full-1m', 7, { extraBytes: 200e6, copyBytes: 1e9 }),
    recordOf('arcface-torch-1m', 60, { extraBytes: 12e9 }),
    recordOf('chunked-1m', 20),
    recordOf('chunked-compiled-1m', 14),
    recordOf('triton-cce-1m', undefined),
    recordOf('cut-cross-entropy-1m', undefined),
    recordOf('small-batch-1m', 3.5),
    recordOf('full-10m', 70),
    recordOf('partial-10m', 8),
    recordOf('capacity-20m', 150),
    recordOf('capacity-40m', 280),
  ];
  const passedWith = (...changed: GpuRecord[]) =>
    gpuVerdicts(good.map((record) => changed.find((other) => other.case === record.case) ?? record)).map(
      ({ passed }) => passed,
    );

  it('pass on good figures', () => {
    expect(passedWith()).toEqual(Array(13).fill(true));
    const answers = gpuVerdicts(good).map(({ answer }) => answer);
    expect(answers[1]).toBe('599 TFLOP/s (wgmma-bf16-d512)');
    expect(answers[5]).toBe('2.00 × chunked-compiled-1m; 2 of them could not run');
    expect(answers[11]).toMatch(/^75% \(3\.50 ms; roofline 2\.71 ms\)$/);
  });

  it.each([
    ['a slow step', [recordOf('full-1m', 8.6)], [0, 1]],
    ['the copy fills the memory', [recordOf('full-1m', 7, { extraBytes: 3.5e9, copyBytes: 1e9 })], [3]],
    ['memory that cannot be told', [recordOf('full-1m', 7, { extraBytes: undefined })], [3]],
    ['another loss', [recordOf('arcface-torch-1m', 60, { extraBytes: 12e9, facts: { loss: 40 } })], [4]],
    ['a fast rival', [recordOf('chunked-1m', 10)], [5]],
    ['not linear', [recordOf('full-10m', 74)], [6]],
    ['too much memory', [recordOf('full-10m', 70, { extraBytes: 257e6 })], [7]],
    ['an unchecked step', [recordOf('capacity-40m', 280, { facts: {} })], [9]],
    ['slow partial FC', [recordOf('partial-10m', 15)], [10]],
    ['slow small batches', [recordOf('small-batch-1m', 5)], [11]],
    ['slow calls', [recordOf('full-1m', 7, { wallMs: summarize([7.6]), copyBytes: 1e9 })], [12]],
  ])('fail: %s', (_, changed, which) => {
    const failed = passedWith(...changed).flatMap((passed, i) => (passed === true ? [] : [i]));
    expect(failed).toEqual(which);
  });

  it('are not answered where a case is missing', () => {
    expect(gpuVerdicts([])[0]).toMatchObject({ passed: undefined, answer: 'full-1m was not run' });
    expect(passedWith(recordOf('full-1m', undefined)).slice(0, 7)).toEqual(Array(7).fill(undefined));
  });

  it('stand below the table with the rooflines', () => {
    const table = formatGpuTable(good);
    expect(table).toContain(
      'NVIDIA H200; x; Node 20; commit abcdef012345; measured in this run: bf16 GEMM 790 TFLOP/s, copy 4.30 TB/s.',
    );
    expect(table).toContain(
      '| full-1m | head wgmma-bf16-d512 | 1024 | 1000000 | 1 | bf16 | 7.00 | 7.00 | 7.00 | 7.30 | 599.2 | 1610 | 5.31 | 76% | 1000 | 200 |',
    );
    expect(table).toContain('Skipped triton-cce-1m: absent');
    expect(table).toMatch(
      /Kernels auto:\n```\nPASS {2}C = 1M, B = 1024, fp32 master \+ bf16 compute: a step: ≤ 8.5 ms: 7.00 ms/,
    );
    expect(formatGpuTable(good.map((record) => ({ ...record, rates: undefined })))).toContain('rooflines are unknown');
  });
});

describe('the tables of docs/gpu-results.md', () => {
  const page = readFileSync(join(import.meta.dirname, '..', '..', '..', 'docs', 'gpu-results.md'), 'utf8');
  const rowsOf = (text: string) =>
    text.split('\n').flatMap((line) => (/^\| [^-]/.test(line) ? [line.split(' | ').slice(0, -1).join(' | ')] : []));

  it('are those of a summary', () => {
    expect(rowsOf(page)).toEqual(rowsOf(formatGpuResults([], proofRows([], []))));
  });

  it('say of each family of kernels what it reached, and of each proof what it came to', () => {
    const records = ['mma', 'wgmma'].map((kernels, i) =>
      recordOf('full-1m', 8 + i, { axes: { ...entryNamed('full-1m').axes, kernels: kernels as 'mma' } }),
    );
    const tests = [
      { group: 'contract: a', status: 'passed' },
      { group: 'contract: b', status: 'failed' },
      { group: 'random shapes', status: 'not run' },
    ] as const;
    const sanitizer = [
      { group: 'memcheck: sanitize: a', status: 'passed' },
      { part: 'memcheck', ended: true },
      { group: 'racecheck: sanitize: a', status: 'passed' },
      { part: 'racecheck', trouble: 'a process ended with 9' },
    ] as const;
    const text = formatGpuResults(records, proofRows([...tests, { ended: 'failed' }], sanitizer));
    expect(text).toContain('| ≤ 8.5 ms | mma: 8.00 ms PASS; wgmma: 9.00 ms FAIL |');
    expect(text).toContain('| contract suite, every precision and kernel family | 1 passed, 1 failed |');
    expect(text).toContain('| 10,000 random small shapes | 0 passed, 1 not run |');
    expect(text).toContain('| C·D > 2³¹ | not yet run |');
    expect(text).toContain(
      '| memcheck: 1 passed; racecheck: 1 passed; FAILED: a process ended with 9; cut off; initcheck not yet run; synccheck not yet run |',
    );
    const cutOff = Object.fromEntries(proofRows(tests, []));
    expect(cutOff['contract suite, every precision and kernel family']).toBe('1 passed, 1 failed; the run was cut off');
  });
});

describe('the program', () => {
  const MAIN = join(import.meta.dirname, '..', 'dist', 'gpu', 'main.js');
  let folder: string;
  beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'hyperarc-gpu-'))));
  afterAll(() => rmSync(folder, { recursive: true }));
  const bench = (...args: string[]) =>
    promisify(execFile)(
      process.execPath,
      [MAIN, 'run', '--quick', '--output', join(folder, 'records.jsonl'), ...args],
      {
        env: { ...process.env, HYPERARC_PYTHON: '/nowhere/python3' },
      },
    );

  it('measures our head, checks its rows, and says what it had to skip', async () => {
    const { stdout } = await bench('--device', 'cpu', '--case', 'full-1m', 'arcface-torch', 'capacity-20m', 'partial');
    const lines = readFileSync(join(folder, 'records.jsonl'), 'utf8').trim().split('\n');
    const records = lines.map((line) => JSON.parse(line) as GpuRecord);
    const ours = records.filter((record) => record.program === 'head');
    expect(ours.length).toBe(4);
    for (const record of ours) {
      expect(record).toMatchObject({ quick: true, device: 'cpu', facts: { clock: 'wall clock' } });
      expect(record.deviceMs!.p50).toBeGreaterThan(0);
      expect(record.facts['loss']).toBeGreaterThan(0);
    }
    expect(records.find((record) => record.case === 'capacity-20m')!.facts['worstRow']).toBeLessThan(1e-4);
    expect(stdout).toMatch(/SKIPPED arcface-torch-1m: .*\/nowhere\/python3/);
    expect(stdout).toMatch(/SKIPPED the GPU's rates: .*\/nowhere\/python3/);
    expect(stdout).toContain('| partial-10m | head cpu-');
  });

  it('skips what this machine lacks', async () => {
    const { stdout } = await bench('--device', 'cuda:9', '--case', 'full-10m');
    expect(stdout).toMatch(/SKIPPED full-10m mma: no device cuda:9/);
  });

  const lastRecords = (count: number) => {
    const lines = readFileSync(join(folder, 'records.jsonl'), 'utf8').trim().split('\n').slice(-count);
    return lines.map((line) => JSON.parse(line) as GpuRecord);
  };

  it('measures each case of ours with each family of kernels', async () => {
    const { stdout } = await bench('--device', 'cuda:9', '--case', 'small-batch', 'arcface');
    expect(lastRecords(3).map((record) => [record.case, record.axes.kernels])).toEqual([
      ['arcface-torch-1m', 'auto'],
      ['small-batch-1m', 'mma'],
      ['small-batch-1m', 'wgmma'],
    ]);
    expect(stdout).toContain('SKIPPED small-batch-1m wgmma: no device cuda:9');
    await bench('--device', 'cuda:9', '--kernels', 'plain', '--case', 'full-10m');
    expect(lastRecords(1)[0].axes.kernels).toBe('plain');
    await expect(bench('--kernels', 'fast')).rejects.toThrow(/--kernels/);
  });

  it('goes on with a run: its name, and one table', async () => {
    await bench('--device', 'cpu', '--case', 'small-batch');
    const [{ run }] = lastRecords(1);
    const { stdout } = await bench('--device', 'cpu', '--continue', '--case', 'partial');
    expect(lastRecords(2).map((record) => [record.run, record.case])).toEqual([
      [run, 'small-batch-1m'],
      [run, 'partial-10m'],
    ]);
    expect(stdout).toMatch(/\| small-batch-1m .*\n\| partial-10m /);
  });

  /** A Python whose peers never answer. */
  async function withSilentPython(...args: string[]) {
    const python = join(folder, 'silent-python');
    writeFileSync(
      python,
      '#!/bin/sh\ncase $1 in *rates*) echo "{\\"skip\\": \\"silent\\"}" ;; *) exec sleep 60 ;; esac\n',
    );
    chmodSync(python, 0o755);
    const all = [MAIN, 'run', '--quick', '--device', 'cpu', '--output', join(folder, 'records.jsonl'), ...args];
    const env = { ...process.env, HYPERARC_PYTHON: python };
    return promisify(execFile)(process.execPath, all, { env }).then(
      () => 0,
      (error: { code: number }) => error.code,
    );
  }

  it('ends a program that gives no answer, measures the others, and fails', async () => {
    expect(await withSilentPython('--patience', '2', '--case', 'arcface', 'small-batch')).toBe(1);
    const [silent, ours] = lastRecords(2);
    expect(silent.skipped).toBe('failed: expected an answer within 8 s, received none; the program was ended');
    expect(ours.deviceMs!.p50).toBeGreaterThan(0);
  });

  it('says what the time did not suffice for, and fails', async () => {
    expect(await withSilentPython('--seconds', '1', '--case', 'arcface', 'small-batch')).toBe(1);
    expect(lastRecords(2).map(({ skipped }) => skipped)).toEqual(['no time left', 'no time left']);
  });
});
