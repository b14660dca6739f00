import { extraLimitBytes } from './cases.js';
import type { CaseRecord } from './records.js';

/** A question the benchmark answers, with its answer in words. */
export interface Verdict {
  question: string;
  answer: string;
  /** undefined: not answered, because a case is missing or was skipped. */
  passed: boolean | undefined;
}

/** Measured limits: see packages/bench/README.md. */
const LEAST_SPEEDUP_OVER_PYTORCH = 3.5;
const LEAST_SHARE_OF_SGEMM = 0.75;
/** A tenfold C may cost ten times the time, give or take this share. */
const LINEARITY_SLACK = 0.35;
/** The programs draw other random numbers of the same distributions. */
const LOSS_SLACK = 0.05;

/** What the records of one run say. */
export function verdicts(records: readonly CaseRecord[]): Verdict[] {
  const measured = (name: string) => records.find((record) => record.case === name && record.elapsedMs !== undefined);
  const missing = (names: string[]) => {
    const absent = names.filter((name) => measured(name) === undefined);
    return absent
      .map((name) => `${name} ${records.some((record) => record.case === name) ? 'was skipped' : 'was not run'}`)
      .join(', ');
  };
  const ask = (question: string, names: string[], judge: (...found: CaseRecord[]) => [string, boolean]): Verdict => {
    const absent = missing(names);
    if (absent !== '') return { question, answer: absent, passed: undefined };
    const [answer, passed] = judge(...names.map((name) => measured(name)!));
    return { question, answer, passed };
  };
  const lossOf = (record: CaseRecord) => Number(record.facts['loss']);
  return [
    ask('PyTorch finds the loss that we find', ['head-c1e5', 'pytorch-c1e5'], (ours, theirs) => {
      const [our, their] = [lossOf(ours), lossOf(theirs)];
      return [`${their.toFixed(2)} and ${our.toFixed(2)} nats`, Math.abs(their / our - 1) <= LOSS_SLACK];
    }),
    ask(
      `at least ${LEAST_SPEEDUP_OVER_PYTORCH}× the speed of PyTorch (its fastest tenth against our median)`,
      ['head-c1e5', 'pytorch-c1e5'],
      (ours, theirs) => {
        // Its steps allocate hundreds of megabytes each, and take up to twice as long when the kernel is slow to give them.
        const ratio = theirs.elapsedMs!.p10 / ours.elapsedMs!.p50;
        const medians = theirs.elapsedMs!.p50 / ours.elapsedMs!.p50;
        const times = `${theirs.elapsedMs!.p10.toFixed(0)} ms against ${ours.elapsedMs!.p50.toFixed(0)} ms`;
        return [`${ratio.toFixed(2)}× (${times}; medians ${medians.toFixed(2)}×)`, ratio >= LEAST_SPEEDUP_OVER_PYTORCH];
      },
    ),
    ask(
      `at least ${100 * LEAST_SHARE_OF_SGEMM}% of OpenBLAS sgemm's rate`,
      ['head-c1e5', 'sgemm-c1e5'],
      (ours, sgemm) => {
        const share = ours.gflops! / sgemm.gflops!;
        const rates = `${ours.gflops!.toFixed(0)} of ${sgemm.gflops!.toFixed(0)} GFLOP/s, ${sgemm.facts['library']} (${sgemm.facts['core']}; ${sgemm.facts['shape']})`;
        return [`${(100 * share).toFixed(0)}% (${rates})`, share >= LEAST_SHARE_OF_SGEMM];
      },
    ),
    ask('cost linear in C from 1e4 to 1e6', ['head-c1e4', 'head-c1e5', 'head-c1e6'], (...cases) => {
      const perClass = cases.map((record) => (1e6 * record.elapsedMs!.p50) / record.axes.C);
      const passed = perClass.every((cost) => Math.abs(cost / perClass[1]! - 1) <= LINEARITY_SLACK);
      return [`${perClass.map((cost) => cost.toFixed(0)).join(', ')} ns a class and step`, passed];
    }),
    ask('C = 1e6: at most 64 MB + O(B·D) beyond weights and momentum', ['head-c1e6'], (record) => {
      const limit = extraLimitBytes(record.axes);
      const found = `${(record.extraBytes! / 1e6).toFixed(1)} MB, limit ${(limit / 1e6).toFixed(1)} MB`;
      return [found, record.extraBytes! <= limit];
    }),
  ];
}

export function formatVerdicts(list: readonly Verdict[]): string {
  const sign = { true: 'PASS', false: 'FAIL', undefined: 'NOT ANSWERED' };
  return list.map(({ question, answer, passed }) => `${sign[`${passed}`]}  ${question}: ${answer}`).join('\n');
}
