import type { Precision } from '@hyperarc/kernels-cuda';
import { roundBf16, unit } from '@hyperarc/kernels-cuda/reference';

/** What float64 needs of a step to know the gradient of any row: the loss of a sample stands for the sum over all classes. */
export interface CheckedStep {
  /** [B, D] */
  embeddings: Float32Array;
  labels: Int32Array;
  /** [B] */
  lossPerSample: Float32Array;
  /** s and m2 of T = s·cos(θ + m2), without fallback; the gradient is straight-through. */
  scale: number;
  m2: number;
  precision: Precision;
}

/**
 * dW of one row [D] of the mean loss, float64: with T_i the target logit and p_i = e^(−loss_i), the softmax probability of class j is
 * q_ij = e^(s·c_ij − T_i)·p_i. The operands are rounded as the device rounds them; `targetRows` are the centres of the labels.
 */
export function rowGradient(
  step: CheckedStep,
  rowIndex: number,
  row: Float32Array,
  targetRows: ReadonlyMap<number, Float32Array>,
): Float64Array {
  const { embeddings, labels, lossPerSample, scale, m2, precision } = step;
  const dim = row.length;
  const isRounded = precision !== 'fp32';
  const operand = (values: ArrayLike<number>) =>
    Float64Array.from(values, (value) => (isRounded ? roundBf16(value) : value));
  const length = Math.hypot(...row);
  const unitRow = Float64Array.from(operand(row), (value) => value / length);
  const pull = new Float64Array(dim);
  for (let i = 0; i < labels.length; i++) {
    const embedding = unit(embeddings.subarray(i * dim, (i + 1) * dim));
    const label = labels[i]!;
    const exact = dot(embedding, unit(targetRows.get(label)!));
    const target = scale * Math.cos(Math.acos(Math.min(1, Math.max(-1, exact))) + m2);
    const probability = Math.exp(-lossPerSample[i]!);
    const x = label === rowIndex ? embedding : operand(embedding);
    const weight =
      label === rowIndex
        ? scale * (probability - 1)
        : scale * Math.exp(scale * dot(x, unitRow) - target - lossPerSample[i]!);
    for (let d = 0; d < dim; d++) pull[d]! += weight * x[d]!;
  }
  // Tangent part at ŵ, then the length of w and the mean over the batch.
  const exactUnit = unit(row);
  const along = dot(pull, exactUnit);
  return pull.map((value, d) => (value - along * exactUnit[d]!) / (labels.length * length));
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let d = 0; d < a.length; d++) sum += a[d]! * b[d]!;
  return sum;
}

/** ‖actual − expected‖ / ‖expected‖. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let error = 0;
  for (let d = 0; d < expected.length; d++) error += (actual[d]! - expected[d]!) ** 2;
  return Math.sqrt(error / dot(expected, expected));
}
