import { philox4x32 } from '@hyperarc/kernels-cuda/reference';

/**
 * The published classification heads once more, in float64, the way their authors' programs go about them: cosines, a matrix of
 * logits, cross-entropy. Nothing of the package is used but the random words of ElasticFace.
 */

export interface Problem {
  /** [B][D] */
  readonly embeddings: number[][];
  /** [C][K][D] */
  readonly centers: number[][][];
  readonly labels: number[];
  /** Partial FC: the classes that take part; all by default. */
  readonly sampled?: readonly number[];
}

/** Everything of a step that has no gradient; the loss with it held still is what finite differences are taken of. */
export type Detached = Record<string, unknown>;

export interface PublishedHead {
  /** State before the first batch. */
  readonly initial: unknown;
  /** What the batch leaves behind, and what it computes without a gradient. */
  step(problem: Problem, state: never): { state: unknown; detached: Detached };
  /** Mean loss, penalties included. */
  loss(problem: Problem, detached: never): number;
}

export const norm = (x: readonly number[]) => Math.sqrt(x.reduce((sum, v) => sum + v * v, 0));
const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, v, d) => sum + v * b[d], 0);
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);

/** Cosines [B][C], the best of K. */
export function cosinesOf({ embeddings, centers }: Problem): number[][] {
  return embeddings.map((x) =>
    centers.map((subCenters) => Math.max(...subCenters.map((w) => dot(x, w) / (norm(x) * norm(w))))),
  );
}

const takesPart = ({ sampled }: Problem, j: number) => sampled?.includes(j) ?? true;
const targetsOf = (problem: Problem) => cosinesOf(problem).map((row, i) => row[problem.labels[i]]);

/** Mean cross-entropy of logits that `target` and `negative` make of each cosine; arguments: cosine, sample, target cosine. */
function crossEntropy(
  problem: Problem,
  target: (cosine: number, i: number) => number,
  negative: (cosine: number, i: number, targetCosine: number, j: number) => number,
): number {
  const losses = cosinesOf(problem).map((row, i) => {
    const y = problem.labels[i];
    const logits = row.map((c, j) => (j === y ? target(c, i) : negative(c, i, row[y], j)));
    const taking = logits.filter((_, j) => takesPart(problem, j));
    const largest = Math.max(...taking);
    return largest + Math.log(taking.reduce((sum, v) => sum + Math.exp(v - largest), 0)) - logits[y];
  });
  return mean(losses);
}

const stateless = { initial: null, step: () => ({ state: null, detached: {} }) };

/** MagFace's MagLinear and MagLoss with easy margin, λ_g = 35. */
export const magFace: PublishedHead = {
  ...stateless,
  loss(problem) {
    const lengths = problem.embeddings.map((x) => clamp(norm(x), 10, 110));
    const margins = lengths.map((a) => ((0.8 - 0.45) / (110 - 10)) * (a - 10) + 0.45);
    const target = (c: number, i: number) => 64 * (c > 0 ? Math.cos(Math.acos(c) + margins[i]) : c);
    return crossEntropy(problem, target, (c) => 64 * c) + 35 * mean(lengths.map((a) => a / 110 ** 2 + 1 / a));
  },
};

/** AdaFace, m = 0.4, h = 0.333, s = 64, t_alpha = 0.01. */
export const adaFace: PublishedHead = {
  initial: { mean: 20, stddev: 100 },
  step({ embeddings }, previous: { mean: number; stddev: number }) {
    const norms = embeddings.map((x) => clamp(norm(x), 1e-3, 100));
    const average = mean(norms);
    const deviation = Math.sqrt(norms.reduce((sum, n) => sum + (n - average) ** 2, 0) / (norms.length - 1));
    const state = {
      mean: average * 0.01 + 0.99 * previous.mean,
      stddev: deviation * 0.01 + 0.99 * previous.stddev,
    };
    const quality = norms.map((n) => clamp(((n - state.mean) / (state.stddev + 1e-3)) * 0.333, -1, 1));
    return { state, detached: { quality } };
  },
  loss(problem, { quality }: { quality: number[] }) {
    const target = (c: number, i: number) => {
      const angle = clamp(Math.acos(c) - 0.4 * quality[i], 1e-3, Math.PI - 1e-3);
      return 64 * (Math.cos(angle) - (0.4 + 0.4 * quality[i]));
    };
    return crossEntropy(problem, target, (c) => 64 * c);
  },
};

/** ArcFace's target with the published fallback. */
const hardArc = (c: number, m: number) =>
  c > Math.cos(Math.PI - m) ? Math.cos(Math.acos(c) + m) : c - m * Math.sin(Math.PI - m);

/** CurricularFace, m = 0.5, s = 64. */
export const curricularFace: PublishedHead = {
  initial: { t: 0 },
  step(problem, previous: { t: number }) {
    const t = mean(targetsOf(problem)) * 0.01 + 0.99 * previous.t;
    const thresholds = targetsOf(problem).map((c) => Math.cos(Math.acos(c) + 0.5));
    return { state: { t }, detached: { t, thresholds } };
  },
  loss(problem, { t, thresholds }: { t: number; thresholds: number[] }) {
    return crossEntropy(
      problem,
      (c) => 64 * hardArc(c, 0.5),
      (c, i) => 64 * (c > thresholds[i] ? c * (t + c) : c),
    );
  },
};

/** MV-Softmax of FaceX-Zoo's form, additive margin, adaptive: s = 32, m = 0.35, t = 1.12. */
export const mvSoftmax: PublishedHead = {
  initial: null,
  step: (problem) => ({ state: null, detached: { thresholds: targetsOf(problem).map((c) => c - 0.35) } }),
  loss(problem, { thresholds }: { thresholds: number[] }) {
    return crossEntropy(
      problem,
      (c) => 32 * (c - 0.35),
      (c, i) => 32 * (c > thresholds[i] ? 1.12 * c + 1.12 - 1 : c),
    );
  },
};

/** Standard normal numbers of a step, from the words that docs/numerics.md names. */
export function elasticNormals(seed: number, step: number, count: number): number[] {
  const uniform = (block: number, word: number) =>
    (philox4x32([block, step, 0, 0x454c4153], [seed, 0])[word] + 0.5) / 4294967296;
  return Array.from({ length: count }, (_, i) => {
    const [block, word] = [Math.floor(i / 4), i % 4];
    const first = word < 2 ? 0 : 2;
    const radius = Math.sqrt(-2 * Math.log(uniform(block, first)));
    const turn = 2 * Math.PI * uniform(block, first + 1);
    return word % 2 === 0 ? radius * Math.cos(turn) : radius * Math.sin(turn);
  });
}

/** ElasticFace-Arc and -Cos, and their + forms: margins sorted so that the nearest sample gets the smallest. */
export function elasticFace(base: 'arc' | 'cos', stddev: number, plus: boolean, seed: number): PublishedHead {
  const center = base === 'arc' ? 0.5 : 0.35;
  return {
    initial: { step: 0 },
    step(problem, { step }: { step: number }) {
      let margins = elasticNormals(seed, step, problem.labels.length).map((z) => center + stddev * z);
      if (plus) {
        const cosines = targetsOf(problem);
        const sorted = [...margins].sort((a, b) => a - b);
        margins = cosines.map((c) => sorted[cosines.filter((other) => other > c).length]);
      }
      return { state: { step: step + 1 }, detached: { margins } };
    },
    loss(problem, { margins }: { margins: number[] }) {
      const target = (c: number, i: number) =>
        base === 'arc' ? 64 * Math.cos(Math.acos(c) + margins[i]) : 64 * (c - margins[i]);
      return crossEntropy(problem, target, (c) => 64 * c);
    },
  };
}

/** AdaCos, dynamic. */
export function adaCos(classes: number): PublishedHead {
  return {
    initial: { scale: Math.sqrt(2) * Math.log(classes - 1) },
    step(problem, { scale }: { scale: number }) {
      const sums = cosinesOf(problem).map((row, i) =>
        row.reduce((sum, c, j) => {
          const isNegative = j !== problem.labels[i] && takesPart(problem, j);
          return isNegative ? sum + Math.exp(scale * c) : sum;
        }, 0),
      );
      const angles = targetsOf(problem)
        .map(Math.acos)
        .sort((a, b) => a - b);
      const median = angles[Math.ceil(angles.length / 2) - 1];
      const next = Math.log(mean(sums)) / Math.cos(Math.min(Math.PI / 4, median));
      return { state: { scale: next }, detached: { scale: next } };
    },
    loss: (problem, { scale }: { scale: number }) =>
      crossEntropy(
        problem,
        (c) => scale * c,
        (c) => scale * c,
      ),
  };
}

/** SphereFace's margin inner product, m = 4 by its polynomial, annealed as in the Caffe program; ‖x‖ is the scale. */
export const sphereFace: PublishedHead = {
  initial: { step: 0 },
  step(_, { step }: { step: number }) {
    const lambda = Math.max(1000 * (1 + 0.12 * (step + 1)) ** -1, 5);
    return { state: { step: step + 1 }, detached: { lambda } };
  },
  loss(problem, { lambda }: { lambda: number }) {
    const psi = (c: number) => {
      const sign0 = Math.sign(c);
      const sign3 = sign0 * Math.sign(2 * c * c - 1);
      return sign3 * (8 * c ** 4 - 8 * c ** 2 + 1) + 2 * sign0 + sign3 - 3;
    };
    const lengths = problem.embeddings.map(norm);
    return crossEntropy(
      problem,
      (c, i) => (lengths[i] * (psi(c) + lambda * c)) / (1 + lambda),
      (c, i) => lengths[i] * c,
    );
  },
};

/** SphereFace-R of opensphere, true gradient: any m, fixed scale. */
export function fixedSphereFace(margin: number, scale: number): PublishedHead {
  const psi = (c: number) => {
    const angle = margin * Math.acos(c);
    const k = Math.floor(angle / Math.PI);
    return (-2 * (k % 2) + 1) * Math.cos(angle) - 2 * k;
  };
  return {
    ...stateless,
    loss: (problem) =>
      crossEntropy(
        problem,
        (c) => scale * psi(c),
        (c) => scale * c,
      ),
  };
}

/** X2-Softmax, a = −0.9, h = 0, k = 0.65, true gradient. */
export const x2Softmax: PublishedHead = {
  ...stateless,
  loss: (problem) =>
    crossEntropy(
      problem,
      (c) => 64 * (-0.9 * Math.acos(c) ** 2 + 0.65),
      (c) => 64 * c,
    ),
};

/** Circle loss with class centres, m = 0.25, its weights detached. */
export function circleSoftmax(scale: number): PublishedHead {
  return {
    initial: null,
    step(problem) {
      const weights = cosinesOf(problem).map((row, i) =>
        row.map((c, j) => (j === problem.labels[i] ? Math.max(0, 1.25 - c) : Math.max(0, c + 0.25))),
      );
      return { state: null, detached: { weights } };
    },
    loss(problem, { weights }: { weights: number[][] }) {
      return crossEntropy(
        problem,
        (c, i) => scale * weights[i][problem.labels[i]] * (c - 0.75),
        (c, i, _, j) => scale * weights[i][j] * (c - 0.25),
      );
    },
  };
}

/** True-class margins m_y = m·(min n/n_y)^¼ against a false-class margin. */
export function classVariant(counts: number[], margin: number, falseMargin: number): PublishedHead {
  const fewest = Math.min(...counts);
  return {
    ...stateless,
    loss: (problem) =>
      crossEntropy(
        problem,
        (c, i) => 64 * (c - margin * Math.sqrt(Math.sqrt(fewest / counts[problem.labels[i]]))),
        (c) => 64 * (c + falseMargin),
      ),
  };
}

/** A margin for each group of classes, ArcFace's form. */
export function groupMargin(groups: number[], margins: number[]): PublishedHead {
  return {
    ...stateless,
    loss: (problem) =>
      crossEntropy(
        problem,
        (c, i) => 64 * hardArc(c, margins[groups[problem.labels[i]]]),
        (c) => 64 * c,
      ),
  };
}

/** Inter-class filtering of arcface_torch around ArcFace: negatives beyond the threshold get logit 0. */
export function filteredArcFace(threshold: number): PublishedHead {
  return {
    initial: null,
    step: (problem) => ({
      state: null,
      detached: { kept: cosinesOf(problem).map((row) => row.map((c) => (c > threshold ? 0 : 1))) },
    }),
    loss: (problem, { kept }: { kept: number[][] }) =>
      crossEntropy(
        problem,
        (c) => 64 * hardArc(c, 0.5),
        (c, i, _, j) => 64 * c * kept[i][j],
      ),
  };
}

/** Gradient of the published loss by central differences, without what is detached: [B][D] and [C][K][D]. */
export function differences(head: PublishedHead, problem: Problem, detached: Detached) {
  const lossAt = (changed: Problem) => head.loss(changed, detached as never);
  const replaced = (values: number[], d: number, value: number) => values.map((v, e) => (e === d ? value : v));
  const slope = (values: number[], d: number, withValues: (values: number[]) => Problem) => {
    const h = 1e-5 * Math.max(1e-3, norm(values));
    const high = lossAt(withValues(replaced(values, d, values[d] + h)));
    return (high - lossAt(withValues(replaced(values, d, values[d] - h)))) / (2 * h);
  };
  const embeddings = problem.embeddings.map((x, i) =>
    x.map((_, d) =>
      slope(x, d, (values) => ({ ...problem, embeddings: problem.embeddings.map((o, e) => (e === i ? values : o)) })),
    ),
  );
  const centers = problem.centers.map((subCenters, j) =>
    subCenters.map((w, k) =>
      w.map((_, d) =>
        slope(w, d, (values) => {
          const own = subCenters.map((o, e) => (e === k ? values : o));
          return { ...problem, centers: problem.centers.map((o, e) => (e === j ? own : o)) };
        }),
      ),
    ),
  );
  return { embeddings, centers };
}
