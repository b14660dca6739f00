import * as tf from '@tensorflow/tfjs-core';

/** One trained variable and the name that its state is saved under. */
export interface NamedVariable {
  /** The key of its gradient: the name of the tf.Variable. */
  readonly gradientName: string;
  readonly stateName: string;
  readonly variable: tf.Variable;
}

/** Tensors as one vector; a single one as it is. Vectors are not reshaped: even that is an op, and there are hundreds of them. */
export function join(tensors: readonly tf.Tensor[]): tf.Tensor {
  if (tensors.length === 1) return tensors[0]!;
  return tf.concat(tensors.map((t) => (t.rank === 1 ? t : tf.reshape(t, [t.size]))));
}

/** {@link join} undone: tensors of the shapes of `like`. */
export function split(joined: tf.Tensor, like: readonly tf.Tensor[]): tf.Tensor[] {
  if (like.length === 1) return [joined];
  const sizes = like.map(({ size }) => size);
  return tf.split(joined, sizes).map((part, i) => (like[i]!.rank === 1 ? part : tf.reshape(part, like[i]!.shape)));
}

/**
 * Variables that are updated by one sequence of ops: a single one as it is, several (the many short vectors of norms, slopes and
 * biases) joined into one vector, since dispatching an op costs more than the arithmetic on a few hundred numbers. The state of an
 * optimizer is held joined too, by the suffix that its tensors' names have.
 */
export class ParameterGroup {
  private readonly slots = new Map<string, tf.Tensor>();
  private readonly variables: readonly tf.Variable[];

  constructor(readonly members: readonly NamedVariable[]) {
    this.variables = members.map(({ variable }) => variable);
  }

  /** Rank of the variables: the group's are all vectors, or it has one. */
  get rank(): number {
    return this.variables[0]!.rank;
  }

  gradient(grads: tf.NamedTensorMap): tf.Tensor {
    return join(this.members.map(({ gradientName }) => grads[gradientName]!));
  }

  weights(): tf.Tensor {
    return join(this.variables);
  }

  /** Sets the variables from their joined values. Call inside tidy. */
  assign(weights: tf.Tensor): void {
    const parts = split(weights, this.variables);
    this.variables.forEach((variable, i) => variable.assign(parts[i]!));
  }

  /** Joined state; undefined before the first update, when it stands for zeros. */
  slot(suffix: string): tf.Tensor | undefined {
    return this.slots.get(suffix);
  }

  setSlot(suffix: string, joined: tf.Tensor): void {
    // A copy of the handle, so that a gradient that became the state as it is stays the caller's to dispose.
    const kept = tf.keep(tf.clone(joined));
    this.slots.get(suffix)?.dispose();
    this.slots.set(suffix, kept);
  }

  /** State of these suffixes by name, as new tensors; zeros before the first update. */
  state(suffixes: readonly string[]): tf.NamedTensorMap {
    return tf.tidy(() => {
      const entries = suffixes.flatMap((suffix) => {
        const joined = this.slots.get(suffix);
        const parts = joined && split(joined, this.variables);
        return this.members.map(({ stateName, variable }, i): [string, tf.Tensor] => [
          stateName + suffix,
          parts === undefined ? tf.zerosLike(variable) : tf.clone(parts[i]!),
        ]);
      });
      return Object.fromEntries(entries);
    });
  }

  /** Copies the state in; members that `state` lacks start at zero. */
  loadState(state: tf.NamedTensorMap, suffixes: readonly string[]): void {
    for (const suffix of suffixes) {
      tf.tidy(() => {
        const parts = this.members.map((m) => state[m.stateName + suffix] ?? tf.zerosLike(m.variable));
        this.setSlot(suffix, join(parts));
      });
    }
  }

  dispose(): void {
    for (const slot of this.slots.values()) slot.dispose();
    this.slots.clear();
  }
}
