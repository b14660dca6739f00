import type { Verdict } from '../verdicts.js';
import { rooflineMs, stepBytes, stepFlops } from './counts.js';
import type { GpuRecord } from './records.js';

const PEERS = ['chunked-1m', 'chunked-compiled-1m', 'triton-cce-1m'] as const;

type Measured = GpuRecord & Required<Pick<GpuRecord, 'deviceMs' | 'wallMs'>>;

const ms = (record: Measured): number => record.deviceMs.p50;
const tflops = (record: Measured): number => stepFlops(record.axes) / ms(record) / 1e9;
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;

/** What one run on a GPU says of the bars that HyperArc set itself (H200, C × 512, B = 1024 where nothing else is said). */
export function gpuVerdicts(records: readonly GpuRecord[]): Verdict[] {
  const measured = (name: string) =>
    records.find((record): record is Measured => record.case === name && record.deviceMs !== undefined);
  const ask = (
    question: string,
    names: readonly string[],
    judge: (...found: Measured[]) => [string, boolean],
  ): Verdict => {
    const absent = names
      .filter((name) => measured(name) === undefined)
      .map((name) => `${name} ${records.some((record) => record.case === name) ? 'was skipped' : 'was not run'}`);
    if (absent.length > 0) return { question, answer: absent.join(', '), passed: undefined };
    const [answer, passed] = judge(...names.map((name) => measured(name)!));
    return { question, answer, passed };
  };
  /** A limit on memory needs memory that could be told. */
  const extraOf = (record: Measured) => record.extraBytes ?? NaN;
  const withCopy = (record: Measured) => extraOf(record) + (record.copyBytes ?? 0);
  const peers = PEERS.filter((name) => measured(name) !== undefined);

  return [
    ask('C = 1M: at most 8.5 ms a step', ['full-1m'], (ours) => [`${ms(ours).toFixed(2)} ms`, ms(ours) <= 8.5]),
    ask('C = 1M: at least 550 TFLOP/s, counted on 4 GEMMs (goal 650)', ['full-1m'], (ours) => [
      `${tflops(ours).toFixed(0)} TFLOP/s (${ours.facts['kernels']})`,
      tflops(ours) >= 550,
    ]),
    ask('C = 1M: at least 5 × as fast as arcface_torch semantics', ['full-1m', 'arcface-torch-1m'], (ours, theirs) => [
      `${(ms(theirs) / ms(ours)).toFixed(2)} × (${ms(theirs).toFixed(1)} ms against ${ms(ours).toFixed(2)} ms)`,
      ms(theirs) / ms(ours) >= 5,
    ]),
    ask(
      '… in at most 1/3 of its memory beyond weights and momentum (the bf16 copy counts)',
      ['full-1m', 'arcface-torch-1m'],
      (ours, theirs) => [
        `${megabytes(withCopy(ours))} against ${megabytes(withCopy(theirs))}`,
        withCopy(ours) <= withCopy(theirs) / 3,
      ],
    ),
    ask('PyTorch finds the loss that we find', ['full-1m', 'arcface-torch-1m'], (ours, theirs) => {
      const [our, their] = [Number(ours.facts['loss']), Number(theirs.facts['loss'])];
      return [`${their.toFixed(2)} and ${our.toFixed(2)} nats`, Math.abs(their / our - 1) <= 0.05];
    }),
    ask(
      'C = 1M: at least 1.5 × as fast as the best of chunked, chunked and compiled, Triton',
      ['full-1m', ...(peers.length > 0 ? peers : PEERS)],
      (ours, ...others) => {
        const best = others.reduce((a, b) => (ms(b) < ms(a) ? b : a));
        const missing = PEERS.length - others.length;
        const note = missing > 0 ? `; ${missing} of them could not run` : '';
        return [`${(ms(best) / ms(ours)).toFixed(2)} × ${best.case}${note}`, ms(best) / ms(ours) >= 1.5];
      },
    ),
    ask('C = 10M: at most 10.5 × the time of 1M', ['full-10m', 'full-1m'], (large, small) => [
      `${(ms(large) / ms(small)).toFixed(2)} × (${ms(large).toFixed(1)} ms)`,
      ms(large) / ms(small) <= 10.5,
    ]),
    ask('C = 10M: at most 256 MB beyond weights, their bf16 copy, and optimizer state', ['full-10m'], (large) => [
      megabytes(extraOf(large)),
      extraOf(large) <= 256e6,
    ]),
    ...(['capacity-20m', 'capacity-40m'] as const).map((name) =>
      ask(`${name}: a step completes, and sampled rows agree with float64`, [name], ({ facts, deviceMs }) => [
        `worst row ${Number(facts['worstRow']).toExponential(1)}, ${deviceMs.p50.toFixed(1)} ms`,
        Number.isFinite(Number(facts['worstRow'])),
      ]),
    ),
    ask('C = 10M, partial FC 0.1: at most 0.2 × the full step', ['partial-10m', 'full-10m'], (partial, full) => [
      `${(ms(partial) / ms(full)).toFixed(3)} × (${ms(partial).toFixed(2)} ms)`,
      ms(partial) / ms(full) <= 0.2,
    ]),
    ask('B = 128, C = 1M: at least 60% of the memory-traffic limit', ['small-batch-1m'], (small) => {
      if (small.rates === undefined) return ['the copy rate could not be measured', false];
      const share = (1e3 * stepBytes(small.axes)) / small.rates.copyBytes / ms(small);
      const roofline = rooflineMs(small.axes, small.rates).toFixed(2);
      return [`${(100 * share).toFixed(0)}% (${ms(small).toFixed(2)} ms; roofline ${roofline} ms)`, share >= 0.6];
    }),
    ask('C = 1M: a staged call from JavaScript takes at most 0.5 ms beyond the device', ['full-1m'], (ours) => [
      `${(ours.wallMs.p50 - ms(ours)).toFixed(3)} ms`,
      ours.wallMs.p50 - ms(ours) <= 0.5,
    ]),
  ];
}
