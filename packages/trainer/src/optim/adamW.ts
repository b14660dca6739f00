import * as tf from '@tensorflow/tfjs-core';

import { check, type GroupRule, Optimizer, type OptimizerOptions } from './optimizer.js';
import type { ParameterGroup } from './parameterGroup.js';

export interface AdamWOptions extends OptimizerOptions {
  /** β₁ and β₂, each in [0, 1). Default 0.9 and 0.999. */
  betas?: readonly [number, number] | readonly number[];
  /** ε > 0. Default 1e-8. */
  epsilon?: number;
}

/** Suffixes of the moments' names: PyTorch's. */
const [FIRST, SECOND] = ['.exp_avg', '.exp_avg_sq'] as const;

/**
 * AdamW (Loshchilov and Hutter 2019, "Decoupled weight decay regularization", algorithm 2) as torch.optim.AdamW computes it. Update t:
 *
 * w ← w·(1 − η·λ); m ← β₁·m + (1 − β₁)·g; v ← β₂·v + (1 − β₂)·g²; w ← w − η/(1 − β₁ᵗ) · m/(√v/√(1 − β₂ᵗ) + ε).
 *
 * State: m and v of every variable, and t.
 */
export class AdamW extends Optimizer {
  readonly betas: readonly [number, number];
  readonly epsilon: number;

  constructor({ betas = [0.9, 0.999], epsilon = 1e-8, ...options }: AdamWOptions) {
    const areBetas = betas.length === 2 && betas.every((beta) => beta >= 0 && beta < 1);
    check(areBetas, 'betas', 'two numbers in [0, 1)', `[${betas.join(', ')}]`);
    check(epsilon > 0 && epsilon < Infinity, 'epsilon', 'a finite number > 0', epsilon);
    super(options, [FIRST, SECOND], true);
    this.betas = [betas[0]!, betas[1]!];
    this.epsilon = epsilon;
  }

  protected update(group: ParameterGroup, gradient: tf.Tensor, rule: GroupRule): void {
    const g = rule.gradientScale === 1 ? gradient : tf.mul(gradient, rule.gradientScale);
    const [beta1, beta2] = this.betas;
    const t = this.updates + 1;
    const moment = (suffix: string, beta: number, value: tf.Tensor): tf.Tensor => {
      const before = group.slot(suffix);
      const share = tf.mul(value, 1 - beta);
      const after = before === undefined ? share : tf.add(tf.mul(before, beta), share);
      group.setSlot(suffix, after);
      return after;
    };
    const first = moment(FIRST, beta1, g);
    const second = moment(SECOND, beta2, tf.square(g));
    // √v/c + ε under η·m is (√v + ε·c) under η·c·m: a pass over memory less. The corrections are formed in double: 1 − β₂ᵗ
    // loses four digits in fp32 at the first update.
    const [correction1, c] = [1 - beta1 ** t, Math.sqrt(1 - beta2 ** t)];
    const denominator = tf.add(tf.sqrt(second), this.epsilon * c);
    const step = tf.mul(tf.div(first, denominator), (rule.learningRate * c) / correction1);
    const decayed =
      rule.weightDecay === 0 ? group.weights() : tf.mul(group.weights(), 1 - rule.learningRate * rule.weightDecay);
    group.assign(tf.sub(decayed, step));
  }
}
