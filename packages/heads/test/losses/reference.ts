/** The losses of src/losses in float64, as plain loops over plain arrays: the oracle, made to be read next to the papers. */
export type Rows = readonly (readonly number[])[];

export interface Inputs {
  readonly embeddings: Rows;
  readonly centers: Rows;
  readonly biases: readonly number[];
  readonly bias: number;
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const mean = (values: readonly number[]) => (values.length === 0 ? 0 : sum(values) / values.length);
const dot = (a: readonly number[], b: readonly number[]) => sum(a.map((value, d) => value * b[d]));
const squaredDistance = (a: readonly number[], b: readonly number[]) => sum(a.map((value, d) => (value - b[d]) ** 2));
const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

function unit(row: readonly number[]): readonly number[] {
  const length = Math.sqrt(dot(row, row));
  return length < 1e-12 ? row.map(() => 0) : row.map((value) => value / length);
}

function logSumExp(values: readonly number[]): number {
  const largest = Math.max(...values);
  return largest + Math.log(sum(values.map((value) => Math.exp(value - largest))));
}

/** Indices of the samples that share anchor i's identity, and of those that do not. */
function others(labels: readonly number[], i: number) {
  const all = labels.map((_, j) => j);
  return {
    positives: all.filter((j) => j !== i && labels[j] === labels[i]),
    negatives: all.filter((j) => labels[j] !== labels[i]),
  };
}

export interface TripletOptions {
  mining: 'batch-all' | 'batch-hard' | 'semi-hard';
  margin: number | 'soft';
  distance: 'squared' | 'euclidean';
  normalize: boolean;
  average: 'all' | 'nonzero';
}

export function triplet({ embeddings }: Inputs, labels: readonly number[], options: TripletOptions): number {
  const points = options.normalize ? embeddings.map(unit) : embeddings;
  const distance = (i: number, j: number) => {
    const squared = squaredDistance(points[i], points[j]);
    return options.distance === 'squared' ? squared : Math.sqrt(squared);
  };
  const losses = labels.flatMap((_, a) => {
    const { positives, negatives } = others(labels, a);
    const pairs = positives.flatMap((p) => negatives.map((n) => [distance(a, p), distance(a, n)] as const));
    const mined = {
      'batch-all': () => pairs,
      'batch-hard': () =>
        pairs.length === 0 ? [] : [[Math.max(...pairs.map(([p]) => p)), Math.min(...pairs.map(([, n]) => n))] as const],
      'semi-hard': () => pairs.filter(([p, n]) => p < n && n < p + (options.margin as number)),
    }[options.mining]();
    return mined.map(([p, n]) => (options.margin === 'soft' ? softplus(p - n) : Math.max(0, p - n + options.margin)));
  });
  return mean(options.average === 'nonzero' ? losses.filter((loss) => loss > 0) : losses);
}

export function contrastive(
  { embeddings }: Inputs,
  labels: readonly number[],
  { margin, normalize }: { margin: number; normalize: boolean },
): number {
  const points = normalize ? embeddings.map(unit) : embeddings;
  const losses = labels.flatMap((label, i) =>
    labels.slice(0, i).map((other, j) => {
      const distance = Math.sqrt(squaredDistance(points[i], points[j]));
      return 0.5 * (label === other ? distance : Math.max(0, margin - distance)) ** 2;
    }),
  );
  return mean(losses);
}

/** The weights α are taken at `weightsAt`: the inputs themselves, or what stays put while a finite difference moves the inputs. */
export function circle(
  inputs: Inputs,
  labels: readonly number[],
  { margin, scale }: { margin: number; scale: number },
  weightsAt: Inputs = inputs,
): number {
  const [points, still] = [inputs.embeddings.map(unit), weightsAt.embeddings.map(unit)];
  const losses = labels.flatMap((_, i) => {
    const { positives, negatives } = others(labels, i);
    if (positives.length === 0 || negatives.length === 0) return [];
    const positive = (p: number) =>
      -scale * Math.max(0, 1 + margin - dot(still[i], still[p])) * (dot(points[i], points[p]) - 1 + margin);
    const negative = (n: number) =>
      scale * Math.max(0, dot(still[i], still[n]) + margin) * (dot(points[i], points[n]) - margin);
    return [softplus(logSumExp(positives.map(positive)) + logSumExp(negatives.map(negative)))];
  });
  return mean(losses);
}

export function softmax({ embeddings, centers, biases }: Inputs, labels: readonly number[]): number {
  return mean(
    embeddings.map((x, i) => {
      const logits = centers.map((w, j) => dot(x, w) + biases[j]);
      return logSumExp(logits) - logits[labels[i]];
    }),
  );
}

function binary(
  { embeddings, centers }: Inputs,
  labels: readonly number[],
  lossOf: (cosine: number, isTarget: boolean, cosineAt: number) => number,
  at: Pick<Inputs, 'embeddings' | 'centers'> = { embeddings, centers },
): number {
  const cosines = (points: Inputs, i: number) => points.centers.map((w) => dot(unit(points.embeddings[i]), unit(w)));
  return mean(
    labels.map((label, i) => {
      const still = cosines(at as Inputs, i);
      return sum(cosines({ embeddings, centers } as Inputs, i).map((c, j) => lossOf(c, j === label, still[j])));
    }),
  );
}

export interface SphereFace2Options {
  balance: number;
  scale: number;
  margin: number;
  exponent: number;
  gradient?: 'exact' | 'straight-through';
}

/** `at` is where the similarity adjustment g is taken with 'straight-through': g(z) = g(z0) + z − z0. */
export function sphereFace2(
  inputs: Inputs,
  labels: readonly number[],
  options: SphereFace2Options,
  at: Inputs,
): number {
  const { balance, scale, margin, exponent, gradient = 'exact' } = options;
  const adjust = (cosine: number) => 2 * (Math.max(0, cosine + 1) / 2) ** exponent - 1;
  const lossOf = (cosine: number, isTarget: boolean, cosineAt: number) => {
    const adjusted = gradient === 'exact' ? adjust(cosine) : adjust(cosineAt) + cosine - cosineAt;
    return isTarget
      ? (balance / scale) * softplus(-scale * (adjusted - margin) - inputs.bias)
      : ((1 - balance) / scale) * softplus(scale * (adjusted + margin) + inputs.bias);
  };
  return binary(inputs, labels, lossOf, at);
}

export function uniface(
  inputs: Inputs,
  labels: readonly number[],
  { scale, margin, balance }: { scale: number; margin: number; balance: number },
): number {
  return binary(inputs, labels, (cosine, isTarget) =>
    isTarget ? softplus(-scale * (cosine - margin) + inputs.bias) : balance * softplus(scale * cosine - inputs.bias),
  );
}

export function center({ embeddings, centers }: Inputs, labels: readonly number[], weight: number): number {
  return mean(embeddings.map((x, i) => (weight / 2) * squaredDistance(x, centers[labels[i]])));
}
