import type { NegativeBranch } from '@hyperarc/kernels-cuda/margin';
import { checkNumber, checkOneOf, checkOptions } from './check-options.js';
import { ANGLE, COSINE } from './check-spec.js';
import { common, COMMON_OPTIONS, makeSpec, type CommonMarginOptions, type MarginSpec } from './spec.js';
import { UNCHANGED } from './negative-rules.js';

export interface MvSoftmaxOptions extends CommonMarginOptions {
  /** The target's margin: 'am' (default) s·(cosθ − m), 'arc' s·cos(θ + m). */
  readonly base?: 'am' | 'arc';
  /** m; default 0.35 ('am', in [−1, 1]) or 0.5 ('arc', radians in [−π/2, π/2]). */
  readonly margin?: number;
  /** 'adaptive' (default): a hard negative becomes t·c + t − 1. 'fixed': c + t − 1. */
  readonly mode?: 'fixed' | 'adaptive';
  /** t in [1, 4]; default 1.12. At 1 no negative changes. (The AAAI paper writes t for our t − 1.) */
  readonly t?: number;
}

/**
 * MV-Softmax: a negative that beats the target's own logit counts as mis-classified and is weighted by h = e^(s·(t−1)) ('fixed') or
 * e^(s·(t−1)·(c+1)) ('adaptive'). Wang et al., "Mis-classified Vector Guided Softmax Loss", AAAI 2020, eq. 4–6; "Support Vector
 * Guided Softmax Loss", 2018. `scale` is 32 by default, as in FaceX-Zoo. Fallback of 'arc': 'easy' by default, as there; the
 * program's 'am' leaves cosθ ≤ m without a margin, which this one does not.
 * @throws HyperArcError E_RANGE naming the parameter.
 */
export function mvSoftmax(options: MvSoftmaxOptions = {}): MarginSpec {
  checkOptions('mvSoftmax', options, ['base', 'margin', 'mode', 't', ...COMMON_OPTIONS]);
  const { base = 'am', mode = 'adaptive', t = 1.12, scale = 32 } = options;
  checkOneOf('mvSoftmax.base', base, ['am', 'arc']);
  checkOneOf('mvSoftmax.mode', mode, ['fixed', 'adaptive']);
  checkNumber('mvSoftmax.t', t, { low: 1, high: 4 });
  const isArc = base === 'arc';
  const { margin = isArc ? 0.5 : 0.35, fallback = isArc ? 'easy' : 'hard' } = options;
  checkNumber('mvSoftmax.margin', margin, isArc ? ANGLE : COSINE);
  const factor = mode === 'adaptive' ? t : 1;
  const above: NegativeBranch = { value: [t - 1, factor, 0], slope: [factor, 0] };
  return makeSpec({
    name: 'mv-softmax',
    m1: 1,
    m2: isArc ? margin : 0,
    m3: isArc ? 0 : margin,
    ...common({ ...options, scale, fallback }),
    negatives: { threshold: 'target', above, below: UNCHANGED },
  });
}
