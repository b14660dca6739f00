/** Float64 references of the transformer's and squeeze-and-excitation's layers, written as the formulas read, for gradients by differences. */

type Numbers = ArrayLike<number>;

/** erf by its Taylor series; for |x| < 4 exact to 1e-9 or better. */
export function erf(x: number): number {
  let [sum, term] = [x, x];
  for (let n = 1; n < 120; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

export const activations: Record<string, (x: number) => number> = {
  relu: (x) => Math.max(x, 0),
  relu6: (x) => Math.min(Math.max(x, 0), 6),
  gelu: (x) => (x / 2) * (1 + erf(x / Math.SQRT2)),
};

/** [rows, dim]. */
export function layerNorm(x: Numbers, gamma: Numbers, beta: Numbers, epsilon: number): number[] {
  const dim = gamma.length;
  return Array.from({ length: x.length }, (_, i) => {
    const row = Array.from({ length: dim }, (__, d) => x[i - (i % dim) + d]!);
    const mean = row.reduce((a, b) => a + b, 0) / dim;
    const variance = row.reduce((a, b) => a + (b - mean) ** 2, 0) / dim;
    return (gamma[i % dim]! * (x[i]! - mean)) / Math.sqrt(variance + epsilon) + beta[i % dim]!;
  });
}

/** [rows, inputs]·[inputs, units] + bias. */
export function dense(x: Numbers, kernel: Numbers, inputs: number, units: number, bias?: Numbers): number[] {
  return Array.from({ length: (x.length / inputs) * units }, (_, i) => {
    const [row, unit] = [Math.floor(i / units), i % units];
    let sum = bias?.[unit] ?? 0;
    for (let j = 0; j < inputs; j++) sum += x[row * inputs + j]! * kernel[j * units + unit]!;
    return sum;
  });
}

/** Multi-head self-attention, [batch, tokens, dim]. */
export function attention(
  x: Numbers,
  [qkv, projection, bias]: readonly [Numbers, Numbers, Numbers],
  { batch, tokens, dim, heads }: { batch: number; tokens: number; dim: number; heads: number },
): number[] {
  const all = dense(x, qkv, dim, 3 * dim);
  const size = dim / heads;
  /** part 0: query, 1: key, 2: value. */
  const at = (b: number, t: number, part: number, h: number, d: number) =>
    all[(b * tokens + t) * 3 * dim + part * dim + h * size + d]!;
  const joined = new Array<number>(batch * tokens * dim).fill(0);
  for (let b = 0; b < batch; b++)
    for (let h = 0; h < heads; h++)
      for (let t = 0; t < tokens; t++) {
        const weights = Array.from({ length: tokens }, (_, s) => {
          let dot = 0;
          for (let d = 0; d < size; d++) dot += at(b, t, 0, h, d) * at(b, s, 1, h, d);
          return Math.exp(dot / Math.sqrt(size));
        });
        const total = weights.reduce((a, c) => a + c, 0);
        for (let s = 0; s < tokens; s++)
          for (let d = 0; d < size; d++)
            joined[(b * tokens + t) * dim + h * size + d]! += (weights[s]! / total) * at(b, s, 2, h, d);
      }
  return dense(joined, projection, dim, dim, bias);
}

/** [batch, pixels, channels]. */
export function squeezeExcite(
  x: Numbers,
  [reduce, expand]: readonly [Numbers, Numbers],
  { pixels, channels, reduction }: { pixels: number; channels: number; reduction: number },
): number[] {
  const batch = x.length / pixels / channels;
  const means = Array.from({ length: batch * channels }, (_, i) => {
    const [b, c] = [Math.floor(i / channels), i % channels];
    let sum = 0;
    for (let p = 0; p < pixels; p++) sum += x[(b * pixels + p) * channels + c]!;
    return sum / pixels;
  });
  const hidden = dense(means, reduce, channels, channels / reduction).map((v) => Math.max(v, 0));
  const gates = dense(hidden, expand, channels / reduction, channels).map((v) => 1 / (1 + Math.exp(-v)));
  return Array.from(
    { length: x.length },
    (_, i) => x[i]! * gates[Math.floor(i / (pixels * channels)) * channels + (i % channels)]!,
  );
}

/** Central differences of Σ dy·f over each number of each argument. */
export function differences(
  f: (...values: Float64Array[]) => number[],
  values: readonly Numbers[],
  dy: Numbers,
  step = 1e-5,
): number[][] {
  const points = values.map((v) => Float64Array.from(v as ArrayLike<number>));
  const scalar = () => f(...points).reduce((sum, y, i) => sum + y * dy[i]!, 0);
  return points.map((point) =>
    Array.from(point, (x, i) => {
      point[i] = x + step;
      const above = scalar();
      point[i] = x - step;
      const below = scalar();
      point[i] = x;
      return (above - below) / (2 * step);
    }),
  );
}
