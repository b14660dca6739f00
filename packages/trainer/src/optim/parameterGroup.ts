import * as tf from '@tensorflow/tfjs-core';

/** One trained variable and the name that its state is saved under. */
export interface NamedVariable {
  /** The key of its gradient: the name of the tf.Variable. */
  readonly gradientName: string;
  readonly stateName: string;
  readonly variable: tf.Variable;
}

export interface UpdateRule {
  learningRate: number;
  momentum: number;
  /** λ of this group. */
  weightDecay: number;
  /** Factor on the gradient, from clipping. */
  gradientScale: number;
}

/**
 * Variables that are updated by one sequence of ops: a single one as it is, several (the many short vectors of norms, slopes and
 * biases) joined into one vector, since dispatching an op costs more than the arithmetic on a few hundred numbers.
 */
export class ParameterGroup {
  private velocity: tf.Tensor | null = null;

  constructor(readonly members: readonly NamedVariable[]) {}

  private join(tensors: tf.Tensor[]): tf.Tensor {
    return tensors.length === 1 ? tensors[0]! : tf.concat(tensors.map((t) => tf.reshape(t, [t.size])));
  }

  private split(joined: tf.Tensor): tf.Tensor[] {
    if (this.members.length === 1) return [joined];
    const parts = tf.split(
      joined,
      this.members.map(({ variable }) => variable.size),
    );
    return parts.map((part, i) => tf.reshape(part, this.members[i]!.variable.shape));
  }

  gradient(grads: tf.NamedTensorMap): tf.Tensor {
    return this.join(this.members.map(({ gradientName }) => grads[gradientName]!));
  }

  /** v ← μ·v + s·g + λ·w, w ← w − η·v. `gradient` is joined. Call inside tidy. */
  update(gradient: tf.Tensor, rule: UpdateRule): void {
    const weights = this.join(this.members.map(({ variable }) => variable));
    let direction = rule.gradientScale === 1 ? gradient : tf.mul(gradient, rule.gradientScale);
    if (rule.weightDecay !== 0) direction = tf.add(direction, tf.mul(weights, rule.weightDecay));
    if (rule.momentum !== 0) {
      if (this.velocity !== null) direction = tf.add(tf.mul(this.velocity, rule.momentum), direction);
      this.velocity?.dispose();
      // A copy of the handle, so that a gradient that became the velocity as it is stays the caller's to dispose.
      this.velocity = tf.keep(tf.clone(direction));
    }
    const updated = this.split(tf.sub(weights, tf.mul(direction, rule.learningRate)));
    this.members.forEach(({ variable }, i) => variable.assign(updated[i]!));
  }

  /** Velocities by state name, as new tensors; zeros before the first update. */
  state(): tf.NamedTensorMap {
    return tf.tidy(() => {
      const parts =
        this.velocity === null
          ? this.members.map(({ variable }) => tf.zerosLike(variable))
          : this.split(this.velocity).map((part) => tf.clone(part));
      return Object.fromEntries(this.members.map(({ stateName }, i) => [stateName, parts[i]!]));
    });
  }

  /** Copies the velocities in; members that `state` lacks start at zero. */
  loadState(state: tf.NamedTensorMap): void {
    const velocity = tf.tidy(() => {
      return tf.clone(this.join(this.members.map((m) => state[m.stateName] ?? tf.zerosLike(m.variable))));
    });
    this.velocity?.dispose();
    this.velocity = tf.keep(velocity);
  }

  dispose(): void {
    this.velocity?.dispose();
    this.velocity = null;
  }
}
