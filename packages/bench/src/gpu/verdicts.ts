import type { Kernels } from '@hyperarc/kernels-cuda';

import type { Verdict } from '../verdicts.js';
import { rooflineMs, stepBytes, stepFlops } from './counts.js';
import { hasFailed, NO_TIME, type GpuRecord } from './records.js';

const PEERS = ['chunked-1m', 'chunked-compiled-1m', 'triton-cce-1m', 'cut-cross-entropy-1m'] as const;

type Measured = GpuRecord & Required<Pick<GpuRecord, 'deviceMs' | 'wallMs'>>;

const ms = (record: Measured): number => record.deviceMs.p50;
const tflops = (record: Measured): number => stepFlops(record.axes) / ms(record) / 1e9;
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;

/** One bar of docs/gpu-results.md. */
export interface GpuVerdict extends Verdict {
  case: string;
  bar: string;
}

/**
 * What one run on a GPU says of the bars that HyperArc set itself (H200, C × 512, B = 1024 where nothing else is said), our head with one
 * family of kernels.
 */
export function gpuVerdicts(all: readonly GpuRecord[], family: Kernels = 'auto'): GpuVerdict[] {
  const records = all.filter(({ program, axes }) => program !== 'head' || axes.kernels === family);
  const measured = (name: string) =>
    records.find((record): record is Measured => record.case === name && record.deviceMs !== undefined);
  const ask = (
    about: string,
    bar: string,
    names: readonly string[],
    judge: (...found: Measured[]) => [string, boolean],
  ): GpuVerdict => {
    const question = { case: about, bar, question: `${about}: ${bar}` };
    const absent = names
      .filter((name) => measured(name) === undefined)
      .map((name) => `${name} ${whyAbsent(records.find((record) => record.case === name))}`);
    if (absent.length > 0) return { ...question, answer: absent.join(', '), passed: undefined };
    const [answer, passed] = judge(...names.map((name) => measured(name)!));
    return { ...question, answer, passed };
  };
  /** A limit on memory needs memory that could be told. */
  const extraOf = (record: Measured) => record.extraBytes ?? NaN;
  const withCopy = (record: Measured) => extraOf(record) + (record.copyBytes ?? 0);
  const peers = PEERS.filter((name) => measured(name) !== undefined);

  return [
    ask('C = 1M, B = 1024, fp32 master + bf16 compute: a step', '≤ 8.5 ms', ['full-1m'], (ours) => [
      `${ms(ours).toFixed(2)} ms`,
      ms(ours) <= 8.5,
    ]),
    ask('same: passes, counted on 4 GEMMs', '≥ 550 TFLOP/s, goal 650', ['full-1m'], (ours) => [
      `${tflops(ours).toFixed(0)} TFLOP/s (${ours.facts['kernels']})`,
      tflops(ours) >= 550,
    ]),
    ask(
      "same: against PyTorch with arcface_torch's semantics, same GPU and run",
      '≥ 5 × faster',
      ['full-1m', 'arcface-torch-1m'],
      (ours, theirs) => [
        `${(ms(theirs) / ms(ours)).toFixed(2)} × (${ms(theirs).toFixed(1)} ms against ${ms(ours).toFixed(2)} ms)`,
        ms(theirs) / ms(ours) >= 5,
      ],
    ),
    ask(
      'same: memory beyond weights and momentum, the bf16 copy counted, against the same',
      '≤ 1/3',
      ['full-1m', 'arcface-torch-1m'],
      (ours, theirs) => [
        `${megabytes(withCopy(ours))} against ${megabytes(withCopy(theirs))}`,
        withCopy(ours) <= withCopy(theirs) / 3,
      ],
    ),
    ask('same: the loss that PyTorch finds', 'within 5%', ['full-1m', 'arcface-torch-1m'], (ours, theirs) => {
      const [our, their] = [Number(ours.facts['loss']), Number(theirs.facts['loss'])];
      return [`${their.toFixed(2)} and ${our.toFixed(2)} nats`, Math.abs(their / our - 1) <= 0.05];
    }),
    ask(
      'same: against the best of a chunked bf16 GEMM + margin + CE in PyTorch, the same compiled, a Triton CCE-style kernel, and cut_cross_entropy',
      '≥ 1.5 × faster',
      ['full-1m', ...(peers.length > 0 ? peers : PEERS)],
      (ours, ...others) => {
        const best = others.reduce((a, b) => (ms(b) < ms(a) ? b : a));
        const missing = PEERS.length - others.length;
        const note = missing > 0 ? `; ${missing} of them could not run` : '';
        return [`${(ms(best) / ms(ours)).toFixed(2)} × ${best.case}${note}`, ms(best) / ms(ours) >= 1.5];
      },
    ),
    ask('C = 10M, B = 1024: time', '≤ 10.5 × that of 1M', ['full-10m', 'full-1m'], (large, small) => [
      `${(ms(large) / ms(small)).toFixed(2)} × (${ms(large).toFixed(1)} ms)`,
      ms(large) / ms(small) <= 10.5,
    ]),
    ask(
      'C = 10M, B = 1024: memory beyond weights, their bf16 copy, and momentum',
      '≤ 256 MB',
      ['full-10m'],
      (large) => [megabytes(extraOf(large)), extraOf(large) <= 256e6],
    ),
    ...(
      [
        ['capacity-20m', 'capacity: C = 20M, fp32 master, a step checked on sampled rows'],
        ['capacity-40m', 'capacity: C = 40M, bf16 master with stochastic rounding, a step checked on sampled rows'],
      ] as const
    ).map(([name, about]) =>
      ask(about, 'completes', [name], ({ facts, deviceMs }) => [
        `worst row ${Number(facts['worstRow']).toExponential(1)}, ${deviceMs.p50.toFixed(1)} ms`,
        Number.isFinite(Number(facts['worstRow'])),
      ]),
    ),
    ask(
      'partial FC r = 0.1, C = 10M, B = 1024',
      '≤ 0.2 × the full step',
      ['partial-10m', 'full-10m'],
      (partial, full) => [
        `${(ms(partial) / ms(full)).toFixed(3)} × (${ms(partial).toFixed(2)} ms)`,
        ms(partial) / ms(full) <= 0.2,
      ],
    ),
    ask(
      'B = 128, C = 1M',
      '≥ 60% of the memory-traffic limit, each byte counted once a pass',
      ['small-batch-1m'],
      (small) => {
        if (small.rates === undefined) return ['the copy rate could not be measured', false];
        const share = (1e3 * stepBytes(small.axes)) / small.rates.copyBytes / ms(small);
        const roofline = rooflineMs(small.axes, small.rates).toFixed(2);
        return [`${(100 * share).toFixed(0)}% (${ms(small).toFixed(2)} ms; roofline ${roofline} ms)`, share >= 0.6];
      },
    ),
    ask('staged call from JavaScript at B = 1024, beyond device time', '≤ 0.5 ms', ['full-1m'], (ours) => [
      `${(ours.wallMs.p50 - ms(ours)).toFixed(3)} ms`,
      ours.wallMs.p50 - ms(ours) <= 0.5,
    ]),
  ];
}

function whyAbsent(record: GpuRecord | undefined): string {
  if (record?.skipped === undefined) return 'was not run';
  return hasFailed(record) ? 'failed' : record.skipped === NO_TIME ? 'was not run for want of time' : 'was skipped';
}

/** The families of kernels that our head was asked for in a run. */
export const familiesOf = (records: readonly GpuRecord[]): Kernels[] => [
  ...new Set(records.filter(({ program }) => program === 'head').map(({ axes }) => axes.kernels)),
];
