import type { MarginRule } from '@hyperarc/kernels-cuda/margin';
import type { Adaptation, AnnealingAdaptation } from './adaptation.js';
import { checkNumber, checkOptions, fail } from './check-options.js';
import { checkFields, RANGES } from './check-spec.js';
import { makeSpec, type MarginSpec } from './spec.js';

/** λ = max(minimum, base·(1 + gamma·t)^(−power)) at batch t = 1, 2, … */
export type AnnealingOptions = Partial<Omit<AnnealingAdaptation, 'kind'>>;

export interface SphereFaceOptions {
  /** m in [1, 4]; default 4, the paper's. SphereFace-R takes fractions: 1.5. */
  readonly margin?: number;
  /** Logit scale in (0, 1024], or 'norm' (default, the paper's): ‖x‖ of each sample, held within [1e-3, 1024]. */
  readonly scale?: number | 'norm';
  /** Default: the published program's schedule, base 1000, gamma 0.12, power 1, minimum 5. false: none. */
  readonly annealing?: AnnealingOptions | false;
  /** 'exact' (default), or 'straight-through': dT/dcosθ = s, "characteristic gradient detachment" of SphereFace-R. */
  readonly gradient?: MarginRule['gradient'];
}

/** The schedule of the authors' Caffe program (margin_inner_product_layer). */
const SCHEDULE = { base: 1000, gamma: 0.12, power: 1, minimum: 5 };

/**
 * SphereFace (A-Softmax): s·(ψ(θ) + λ·cosθ)/(1 + λ), ψ(θ) = (−1)^k·cos(mθ) − 2k on [kπ/m, (k+1)π/m]. Liu et al., "SphereFace",
 * CVPR 2017, eq. 7; annealing by λ: Liu et al., "Large-Margin Softmax", ICML 2016, §5. Fractions of m and a fixed scale: Liu et
 * al., "SphereFace Revived", TPAMI 2022. The gradient is the true one, also through ‖x‖ (the Caffe program normalises the
 * target's share of it).
 * @throws HyperArcError E_RANGE naming the parameter.
 */
export function sphereFace(options: SphereFaceOptions = {}): MarginSpec {
  checkOptions('sphereFace', options, ['margin', 'scale', 'annealing', 'gradient'], {
    fallback: 'ψ(θ) falls on all of [0, π]: there is nothing to fall back from',
  });
  const { margin = 4, scale = 'norm', annealing = {}, gradient = 'exact' } = options;
  checkNumber('sphereFace.margin', margin, { low: 1, high: 4 });
  const adaptive: Adaptation[] = [];
  if (scale === 'norm') adaptive.push({ kind: 'norm-scale', lowerNorm: 1e-3, upperNorm: 1024 });
  if (annealing !== false) {
    if (typeof annealing !== 'object' || annealing === null) {
      fail('sphereFace.annealing', 'false, or an object of base, gamma, power, minimum', annealing);
    }
    checkOptions('sphereFace.annealing', annealing, Object.keys(RANGES.annealing));
    const schedule: AnnealingAdaptation = { kind: 'annealing', ...SCHEDULE, ...annealing };
    checkFields('sphereFace.annealing', schedule);
    adaptive.push(schedule);
  }
  return makeSpec({
    name: 'sphereface',
    scale: scale === 'norm' ? 64 : scale,
    m1: margin,
    m2: 0,
    m3: 0,
    fallback: 'none',
    gradient,
    family: 'sphere',
    ...(adaptive.length > 0 && { adaptive }),
  });
}
