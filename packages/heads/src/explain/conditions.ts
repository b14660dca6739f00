import type { MarginRule } from '@hyperarc/kernels-cuda/margin';
import type { Adaptation } from '../specs/adaptation.js';
import { curricularNegatives } from '../specs/negative-rules.js';
import type { MarginSpec } from '../specs/spec.js';

/** A rule that an adaptive margin comes to, and what it comes to it at. */
export interface Condition {
  readonly condition: string;
  readonly rule: MarginRule;
}

const format = (value: number): string => String(Number(value.toFixed(3)));

/** The rules between which one adaptation moves; none where it leaves the curve over θ as it is. */
function rangeOf(adaptation: Adaptation, rule: MarginRule): Condition[] {
  switch (adaptation.kind) {
    case 'magnitude': {
      const { lowerNorm, upperNorm, lowerMargin, upperMargin } = adaptation;
      return [0, 0.5, 1].map((share) => ({
        condition: `‖x‖ = ${format(lowerNorm + share * (upperNorm - lowerNorm))}`,
        rule: { ...rule, m2: lowerMargin + share * (upperMargin - lowerMargin) },
      }));
    }
    case 'norm-quality': {
      const { margin } = adaptation;
      return [-1, 0, 1].map((k) => ({
        condition: `quality k = ${k}`,
        rule: { ...rule, m2: -margin * k, m3: margin + margin * k },
      }));
    }
    case 'curriculum':
      return [0, 0.5].map((t) => ({
        condition: `t = ${t}`,
        rule: { ...rule, negatives: curricularNegatives(t) },
      }));
    case 'random-margin': {
      const { parameter, stddev } = adaptation;
      return [-1, 0, 1].map((deviations) => {
        const value = rule[parameter] + deviations * stddev;
        return { condition: `m = ${format(value)}`, rule: { ...rule, [parameter]: value } };
      });
    }
    case 'class-margins': {
      const { parameter, margins } = adaptation;
      const [least, most] = [Math.min(...margins), Math.max(...margins)];
      return [...new Set([least, most])].map((value) => ({
        condition: `m = ${format(value)}`,
        rule: { ...rule, [parameter]: value },
      }));
    }
    case 'annealing':
      return [adaptation.base, adaptation.minimum].map((lambda) => ({
        condition: `λ = ${format(lambda)}`,
        rule: { ...rule, blend: 1 / (1 + lambda) },
      }));
    case 'norm-scale':
    case 'adaptive-scale':
      return [];
  }
}

/** The rules to show a margin at: one, or for an adaptive margin those between which it moves. */
export function conditionsOf({ name: _, adaptive = [], ...rule }: MarginSpec): Condition[] {
  return adaptive.reduce<Condition[]>(
    (conditions, adaptation) =>
      conditions.flatMap((before) => {
        const range = rangeOf(adaptation, before.rule);
        if (range.length === 0) return [before];
        const join = (condition: string) => [before.condition, condition].filter((part) => part !== '').join(', ');
        return range.map(({ condition, rule: moved }) => ({ condition: join(condition), rule: moved }));
      }),
    [{ condition: '', rule }],
  );
}
