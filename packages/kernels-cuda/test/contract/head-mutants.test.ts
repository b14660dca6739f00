import { describe, expect, it } from 'vitest';
import type { NegativeBranch, NegativeRule } from '../../dist/margin.js';
import type { ReferenceRule } from '../../dist/reference/index.js';
import { targetLogit, targetThreshold } from '../../dist/reference/index.js';
import { partOf } from './data.js';
import type { ContractBatch, ForwardResult, Implementation, Subject } from './implementation.js';
import { isCaughtBy, mutant, withRule } from './mutants.js';

const withNegatives = (change: (rule: NegativeRule) => NegativeRule) =>
  mutant((subject) => ({ forward: (batch) => subject.forward(changed(batch, change)) }));

function changed(batch: ContractBatch, change: (rule: NegativeRule) => NegativeRule): ContractBatch {
  const { negatives } = batch.rule;
  return negatives ? { ...batch, rule: { ...batch.rule, negatives: change(negatives) } } : batch;
}

const branchwise =
  (change: (branch: NegativeBranch) => NegativeBranch) =>
  ({ threshold, above, below }: NegativeRule): NegativeRule => ({
    threshold,
    above: change(above),
    below: change(below),
  });

const withoutSlope = branchwise(({ value }) => ({ value, slope: [1, 0] }));
const withTrueSlope = branchwise(({ value }) => ({ value, slope: [value[1], 2 * value[2]] }));

/** The right results but for one of them, which takes N'(c) = 1. */
const withoutSlopeIn = (what: keyof ForwardResult<unknown>) =>
  mutant((subject) => ({
    forward: (batch) => ({
      ...subject.forward(batch),
      [what]: subject.forward(changed(batch, withoutSlope))[what],
    }),
  }));

/** The loss of thresholds that `thresholdOf` gives for a sample's rule and the cosine and sine of its target. */
const withThreshold = (
  thresholdOf: (cosine: number, sine: number, own: ReferenceRule, rule: ReferenceRule) => number,
) =>
  mutant((subject) => ({
    forward: (batch) => {
      const result = subject.forward(batch);
      if (batch.rule.negatives?.threshold !== 'target') return result;
      const dim = batch.embeddings.length / batch.labels.length;
      const sampleLoss = Array.from(batch.labels, (_, i) => {
        const c = result.targetCosine[i];
        const threshold = thresholdOf(c, Math.sqrt(Math.max(0, 1 - c ** 2)), ownRule(batch, i), batch.rule);
        const one = changed(partOf(batch, dim, i, i + 1), (rule) => ({ ...rule, threshold }));
        return subject.forward(one).sampleLoss[0];
      });
      return { ...result, sampleLoss };
    },
  }));

function ownRule({ rule, rowParameters: p }: ContractBatch, i: number): ReferenceRule {
  return p ? { ...rule, scale: p[4 * i], m1: p[4 * i + 1], m2: p[4 * i + 2], m3: p[4 * i + 3] } : rule;
}

const withRowGradient = (change: (value: number, e: number, batch: ContractBatch) => number) =>
  mutant((subject: Subject) => ({
    forward: (batch) => {
      const result = subject.forward(batch);
      return { ...result, rowGradient: Array.from(result.rowGradient!, (value, e) => change(value, e, batch)) };
    },
  }));

const MUTANTS: [string, Implementation][] = [
  ['only the family cosine', withRule({ family: 'cosine' })],
  ['blend ignored', withRule({ blend: 1 })],
  ['angle of clip ignored', withRule({ clipRadians: 1e-4 })],
  ['negative rules ignored', withRule({ negatives: undefined })],
  ['branches exchanged', withNegatives(({ threshold, above, below }) => ({ threshold, above: below, below: above }))],
  ['only the upper branch', withNegatives((rule) => ({ ...rule, below: rule.above }))],
  ['only the lower branch', withNegatives((rule) => ({ ...rule, above: rule.below }))],
  [
    'the upper branch at the threshold',
    withNegatives((rule) => (rule.threshold === 'target' ? rule : { ...rule, threshold: rule.threshold - 1e-9 })),
  ],
  [
    'the square of N ignored',
    withNegatives(branchwise(({ value: [v0, v1], slope }) => ({ value: [v0, v1, 0], slope }))),
  ],
  ['no N’ in dX', withoutSlopeIn('embeddingGradient')],
  ['no N’ in dW', withoutSlopeIn('step')],
  ['no N’ anywhere', withNegatives(withoutSlope)],
  ['the true derivative of N for the slope', withNegatives(withTrueSlope)],
  ['thresholds as they should be', withThreshold(targetThreshold)],
  [
    'thresholds with the fallback',
    withThreshold((c, s, own) => targetLogit(c, s, { ...own, scale: 1, blend: 1 }).logit),
  ],
  [
    'thresholds with the blend',
    withThreshold((c, s, own) => targetLogit(c, s, { ...own, scale: 1, fallback: 'none' }).logit),
  ],
  [
    'thresholds of the rule’s numbers for samples with their own',
    withThreshold((c, s, _, rule) => targetThreshold(c, s, rule)),
  ],
  ['thresholds without m3', withThreshold((c, s, own) => targetThreshold(c, s, { ...own, m3: 0 }))],
  ['the sign of the row gradient', withRowGradient((value) => -value)],
  ['a row gradient of the sum', withRowGradient((value, _, { labels }) => value * labels.length)],
  ...['s', 'm1', 'm2', 'm3'].map((name, n): [string, Implementation] => [
    `the gradient of ${name} lost`,
    withRowGradient((value, e) => (e % 4 === n ? 0 : value)),
  ]),
  ['0 for the gradient that is not formed', withRowGradient((value) => (Number.isNaN(value) ? 0 : value))],
  [
    'a row gradient without the blend',
    withRowGradient((value, e, { rule }) => (e % 4 === 0 || !rule.blend ? value : value / rule.blend)),
  ],
];

describe('the cases of heads catch', () => {
  const isOfHeads = (group: string) => ['families', 'negatives', 'heads together'].includes(group);
  it.each(MUTANTS)('%s', (name, broken) => {
    // One of them is sound, and shows that it is the changes that are caught.
    expect(isCaughtBy(broken, isOfHeads)).toBe(name !== 'thresholds as they should be');
  });
});
