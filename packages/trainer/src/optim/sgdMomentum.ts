import * as tf from '@tensorflow/tfjs-core';

import { check, type GroupRule, Optimizer, type OptimizerOptions } from './optimizer.js';
import type { ParameterGroup } from './parameterGroup.js';

export interface SgdMomentumOptions extends OptimizerOptions {
  /** μ, in [0, 1). */
  momentum: number;
}

/** The velocity of a variable is saved under the variable's own name. */
const VELOCITY = '';

/**
 * Stochastic gradient descent with momentum in PyTorch's form: v ← μ·v + g + λ·w, w ← w − η·v. A change of the learning rate acts on
 * the whole velocity, unlike tf.train.momentum. State: the velocities; none without momentum.
 */
export class SgdMomentum extends Optimizer {
  readonly momentum: number;

  constructor({ momentum, ...options }: SgdMomentumOptions) {
    check(momentum >= 0 && momentum < 1, 'momentum', 'a number in [0, 1)', momentum);
    super(options, momentum === 0 ? [] : [VELOCITY], false);
    this.momentum = momentum;
  }

  protected update(group: ParameterGroup, gradient: tf.Tensor, rule: GroupRule): void {
    const weights = group.weights();
    let direction = rule.gradientScale === 1 ? gradient : tf.mul(gradient, rule.gradientScale);
    if (rule.weightDecay !== 0) direction = tf.add(direction, tf.mul(weights, rule.weightDecay));
    if (this.momentum !== 0) {
      const velocity = group.slot(VELOCITY);
      if (velocity !== undefined) direction = tf.add(tf.mul(velocity, this.momentum), direction);
      group.setSlot(VELOCITY, direction);
    }
    group.assign(tf.sub(weights, tf.mul(direction, rule.learningRate)));
  }
}
