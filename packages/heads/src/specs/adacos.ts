import { checkFlag, checkNumber, checkOptions } from './check-options.js';
import { common, makeSpec, type MarginSpec } from './spec.js';

export interface AdaCosOptions {
  /** C ≥ 3, which sets the scale. */
  readonly classes: number;
  /** true (default): the scale follows training. false: it stays √2·ln(C − 1). */
  readonly dynamic?: boolean;
}

/**
 * AdaCos: s·cosθ with a scale that needs no tuning: √2·ln(C − 1) fixed; dynamic, from there on ln B_avg / cos(min(π/4, median θ_y)), B_avg the
 * batch mean of Σ_{j≠y} e^(s·cosθ_j) with the scale before. Zhang et al., "AdaCos", CVPR 2019, eq. 12–17. The median is the lower
 * of two middle ones; the scale is held within [1, 1024] (ours). On the engine the dynamic scale costs one more pass over the centres
 * a step; with partial FC B_avg is that of the classes drawn, whose softmax the scale is for.
 * @throws HyperArcError E_RANGE naming the parameter.
 */
export function adaCos(options: AdaCosOptions): MarginSpec {
  checkOptions('adaCos', options, ['classes', 'dynamic'], {
    scale: 'the scale of AdaCos comes from the classes; normFace has one of its own',
    margin: 'AdaCos has no margin; its scale is derived for plain cosines',
  });
  const { classes, dynamic = true } = options;
  checkNumber('adaCos.classes', classes, { low: 3, high: 2 ** 31, integer: true });
  checkFlag('adaCos.dynamic', dynamic);
  return makeSpec({
    name: dynamic ? 'adacos' : 'adacos-fixed',
    m1: 1,
    m2: 0,
    m3: 0,
    ...common({ scale: Math.SQRT2 * Math.log(classes - 1) }),
    ...(dynamic && { adaptive: [{ kind: 'adaptive-scale' }] }),
  });
}
