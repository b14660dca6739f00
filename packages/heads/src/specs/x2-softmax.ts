import type { MarginRule } from '@hyperarc/kernels-cuda/margin';
import { checkNumber, checkOptions } from './check-options.js';
import { makeSpec, type MarginSpec } from './spec.js';

export interface X2SoftmaxOptions {
  /** Curvature in [−4, −0.01]; default −0.9. */
  readonly a?: number;
  /** Angle of the vertex, radians in [−π/2, π/2]; default 0. The target falls on all of [0, π] for h ≤ 0. */
  readonly h?: number;
  /** Target at the vertex, in [−1, 1]; default 0.65. */
  readonly k?: number;
  /** Logit scale s in (0, 1024]; default 64. */
  readonly scale?: number;
  /** 'exact' (default), or 'straight-through': dT/dcosθ = s, which the authors' program computes. */
  readonly gradient?: MarginRule['gradient'];
}

/**
 * X2-Softmax: s·(a·(θ − h)² + k), a margin that grows with the angle between classes. Xu et al., "X2-Softmax", 2023, eq. 6; numbers of
 * the authors' command.
 * @throws HyperArcError E_RANGE naming the parameter.
 */
export function x2Softmax(options: X2SoftmaxOptions = {}): MarginSpec {
  checkOptions('x2Softmax', options, ['a', 'h', 'k', 'scale', 'gradient'], {
    fallback: 'a parabola in θ falls on all of [0, π]: there is nothing to fall back from',
    margin: 'its margin comes from a, h and k',
  });
  const { a = -0.9, h = 0, k = 0.65, scale = 64, gradient = 'exact' } = options;
  checkNumber('x2Softmax.a', a, { low: -4, high: -0.01 });
  checkNumber('x2Softmax.h', h, { low: -Math.PI / 2, high: Math.PI / 2 });
  checkNumber('x2Softmax.k', k, { low: -1, high: 1 });
  const family = 'quadratic';
  return makeSpec({ name: 'x2-softmax', scale, m1: -a, m2: h, m3: 0 - k, fallback: 'none', gradient, family });
}
