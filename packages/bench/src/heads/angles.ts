/** How tightly embeddings gather by class, in degrees. */
export interface AngleStatistics {
  /** Mean angle between an embedding and the mean direction of its class. */
  readonly intraClass: number;
  /** Mean over classes of the angle between a class's mean direction and the nearest other one. */
  readonly interClass: number;
  /** Share of embeddings whose own class has the nearest mean direction. */
  readonly nearestMean: number;
}

function unit(vector: readonly number[]): number[] {
  const length = Math.hypot(...vector);
  return vector.map((value) => (length > 0 ? value / length : 0));
}

function degreesBetween(a: readonly number[], b: readonly number[]): number {
  const cosine = a.reduce((sum, value, d) => sum + value * b[d]!, 0);
  return (Math.acos(Math.min(1, Math.max(-1, cosine))) * 180) / Math.PI;
}

/** Mean directions of the classes 0 … classes − 1 [C][D]. */
export function meanDirections(embeddings: readonly number[][], labels: Int32Array, classes: number): number[][] {
  const sums = Array.from({ length: classes }, () => Array<number>(embeddings[0]!.length).fill(0));
  embeddings.forEach((embedding, n) => unit(embedding).forEach((value, d) => (sums[labels[n]!]![d]! += value)));
  return sums.map(unit);
}

export function angleStatistics(embeddings: readonly number[][], labels: Int32Array, classes: number): AngleStatistics {
  const means = meanDirections(embeddings, labels, classes);
  let intra = 0;
  let right = 0;
  embeddings.forEach((embedding, n) => {
    const angles = means.map((mean) => degreesBetween(unit(embedding), mean));
    intra += angles[labels[n]!]!;
    if (angles.indexOf(Math.min(...angles)) === labels[n]) right += 1;
  });
  const nearest = means.map((mean, j) =>
    Math.min(...means.filter((_, other) => other !== j).map((other) => degreesBetween(mean, other))),
  );
  return {
    intraClass: intra / embeddings.length,
    interClass: nearest.reduce((sum, angle) => sum + angle, 0) / classes,
    nearestMean: right / embeddings.length,
  };
}
