import * as tf from '@tensorflow/tfjs-core';

/** The part of tfjs's tape (its dist/tape.d.ts) that is used here. */
interface TapeNode {
  readonly inputs: Record<string, tf.Tensor>;
  saved?: tf.Tensor[];
  gradient?: (dys: (tf.Tensor | null)[]) => Record<string, () => tf.Tensor>;
}

/**
 * Makes a node give up what its gradient needed once that is computed: the gradients of its outputs, the tensors it saved in the
 * forward pass, and everything in between. tfjs keeps all of them to the end of the backward pass.
 */
function releaseAfterUse(node: TapeNode): void {
  const { gradient, saved = [] } = node;
  if (gradient === undefined) return;
  // tfjs calls the method on a copy, whose inputs are those that lead to a variable: no others are computed.
  node.gradient = function (this: TapeNode, dys) {
    const given = tf.tidy(() => {
      const byInput = gradient(dys);
      const wanted = Object.keys(this.inputs).filter((name) => name in byInput);
      // A gradient may be handed on as it came, or to two inputs: each is let go of on its own.
      const others = new Set<tf.Tensor | null>([...dys, ...saved]);
      return wanted.map((name) => {
        const dx = byInput[name]!();
        const own = others.has(dx) ? tf.clone(dx) : dx;
        others.add(own);
        return [name, own] as const;
      });
    });
    for (const used of [...dys, ...saved]) used?.dispose();
    return Object.fromEntries(given.map(([name, dx]) => [name, () => dx]));
  };
}

/**
 * tf.variableGrads with the memory of a backward pass let go of as it proceeds: the same gradients, bit for bit, and no more than the
 * activations and the gradients on their way. Not for gradients of gradients.
 * @param f gives a scalar.
 * @param variables trainable, at least one.
 * @returns the value of `f` and the gradients by name; the caller disposes them.
 */
export function variableGradients(
  f: () => tf.Scalar,
  variables: tf.Variable[],
): { value: tf.Scalar; grads: tf.NamedTensorMap } {
  return tf.variableGrads(() => {
    const value = f();
    (tf.engine().state.activeTape as unknown as TapeNode[]).forEach(releaseAfterUse);
    return value;
  }, variables);
}
