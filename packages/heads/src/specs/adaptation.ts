/** A margin parameter of each sample that may move: m2 is angular (radians), m3 in cosine. */
export type MarginParameter = 'm2' | 'm3';

/** MagFace's magnitude-aware margin: m2 rises linearly with ‖x‖, which is clamped to [lowerNorm, upperNorm]. */
export interface MagnitudeAdaptation {
  readonly kind: 'magnitude';
  readonly lowerNorm: number;
  readonly upperNorm: number;
  /** Radians, at lowerNorm and at upperNorm. */
  readonly lowerMargin: number;
  readonly upperMargin: number;
  /** λ_g of the loss λ_g·mean(a/u_a² + 1/a), a the clamped ‖x‖. */
  readonly regularizer: number;
}

/** AdaFace's image quality: k = clip(h·(n − μ)/(σ + ε), −1, 1), n = clip(‖x‖, 1e-3, 100); m2 = −m·k, m3 = m + m·k. */
export interface NormQualityAdaptation {
  readonly kind: 'norm-quality';
  /** m */
  readonly margin: number;
  /** h */
  readonly concentration: number;
  /** Weight of a batch in the running mean μ and standard deviation σ. */
  readonly momentum: number;
  /** What μ and σ start from. */
  readonly initialMean: number;
  readonly initialStddev: number;
}

/** CurricularFace: t ← momentum·mean(cosθ_y) + (1 − momentum)·t, and hard negatives become c·(t + c). */
export interface CurriculumAdaptation {
  readonly kind: 'curriculum';
  readonly momentum: number;
}

/** ElasticFace: the parameter is drawn from N(the spec's own, stddev²) for each sample. */
export interface RandomMarginAdaptation {
  readonly kind: 'random-margin';
  readonly parameter: MarginParameter;
  readonly stddev: number;
  /** ElasticFace+: the smallest margin goes to the sample nearest its centre, the largest to the farthest. */
  readonly sorted: boolean;
  /** Integer in [0, 2⁵³). */
  readonly seed: number;
}

/** AdaCos: s = ln B_avg / cos(min(π/4, median θ_y)), B_avg the mean of Σ_{j≠y} e^(s·cosθ_j) with the scale of the batch before. */
export interface AdaptiveScaleAdaptation {
  readonly kind: 'adaptive-scale';
}

/** The parameter of each class. */
export interface ClassMarginsAdaptation {
  readonly kind: 'class-margins';
  readonly parameter: MarginParameter;
  /** [C] */
  readonly margins: readonly number[];
}

/** The scale of each sample is ‖x‖, clamped to [lowerNorm, upperNorm]; the gradient flows through it inside. */
export interface NormScaleAdaptation {
  readonly kind: 'norm-scale';
  readonly lowerNorm: number;
  readonly upperNorm: number;
}

/** SphereFace's annealing: the target is (A(θ) + λ·cosθ)/(1 + λ), λ = max(minimum, base·(1 + gamma·t)^(−power)), t = 1, 2, … */
export interface AnnealingAdaptation {
  readonly kind: 'annealing';
  readonly base: number;
  readonly gamma: number;
  readonly power: number;
  readonly minimum: number;
}

/** How a margin changes from batch to batch or from sample to sample; plain data. `MarginAdapter` carries it out. */
export type Adaptation =
  | MagnitudeAdaptation
  | NormQualityAdaptation
  | CurriculumAdaptation
  | RandomMarginAdaptation
  | AdaptiveScaleAdaptation
  | ClassMarginsAdaptation
  | NormScaleAdaptation
  | AnnealingAdaptation;
