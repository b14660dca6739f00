import type { NormScaleAdaptation } from '../specs/index.js';
import { clampNorms } from './norms.js';
import { stateless, type AdaptationRuntime } from './runtime.js';

/** ‖x‖ as the scale (SphereFace, Liu et al., CVPR 2017, eq. 7), held within [lowerNorm, upperNorm]; the gradient flows inside. */
export function normScale({ lowerNorm, upperNorm }: NormScaleAdaptation): AdaptationRuntime<null> {
  return stateless(() => ({
    columns: {
      scale: (norms) => {
        const { clamped, inside } = clampNorms(norms, lowerNorm, upperNorm);
        return { values: clamped, byNorm: inside };
      },
    },
  }));
}
