import { adaFace } from './adaface.js';
import { arcFace } from './arcface.js';
import { circleSoftmax } from './circle-softmax.js';
import { combinedMargin } from './combined.js';
import { cosFace } from './cosface.js';
import { curricularFace } from './curricularface.js';
import { elasticFace } from './elasticface.js';
import { magFace } from './magface.js';
import { mvSoftmax } from './mv-softmax.js';
import { normFace } from './normface.js';
import { sphereFace } from './sphereface.js';
import { x2Softmax } from './x2-softmax.js';

/** Margins as published systems have them, under the systems' names. */
export const presets = Object.freeze({
  /** ArcFace of insightface's arcface_torch: m = 0.5, no fallback, straight-through gradient. Its sub-centres are a head with K = 3. */
  arcfaceTorch: arcFace({ fallback: 'none', gradient: 'straight-through' }),
  /** CosFace of arcface_torch: m = 0.4. */
  arcfaceTorchCosface: cosFace({ margin: 0.4 }),
  /** ArcFace of insightface's MXNet program: m = 0.5, with the published fallback. */
  insightfaceMxnet: arcFace(),
  /** CosFace of the MXNet program: m = 0.35, as in the paper. */
  insightfaceMxnetCosface: cosFace(),
  /** Combined margin of the MXNet program: (1, 0.3, 0.2). */
  insightfaceMxnetCombined: combinedMargin(),
  /** Multiplicative margin of the MXNet program: (1.35, 0, 0). */
  insightfaceMxnetSphereface: combinedMargin({ m1: 1.35, m2: 0, m3: 0 }),
  /** NormFace with the scale that insightface uses. */
  normface: normFace(),
  /** SphereFace, the authors' Caffe program: m = 4, ‖x‖ as scale, annealed. */
  sphereface: sphereFace(),
  /** SphereFace of opensphere: m = 1.5, s = 30, straight-through gradient. */
  opensphereSphereface: sphereFace({ margin: 1.5, scale: 30, annealing: false, gradient: 'straight-through' }),
  /** MagFace, the authors' program and scripts. */
  magface: magFace(),
  /** AdaFace, the authors' program. */
  adaface: adaFace(),
  /** CurricularFace, the authors' program. */
  curricularface: curricularFace(),
  /** MV-Softmax (MV-AM-Softmax, adaptive) with FaceX-Zoo's numbers: s = 32, m = 0.35, t = 1.12. */
  mvSoftmax: mvSoftmax(),
  /** ElasticFace, the authors' program: no fallback. */
  elasticfaceArc: elasticFace({ fallback: 'none' }),
  elasticfaceCos: elasticFace({ base: 'cos' }),
  elasticfaceArcPlus: elasticFace({ fallback: 'none', plus: true }),
  elasticfaceCosPlus: elasticFace({ base: 'cos', plus: true }),
  /** X2-Softmax, the authors' program and command: straight-through gradient. */
  x2softmax: x2Softmax({ gradient: 'straight-through' }),
  /** Circle loss with class centres, as in FaceX-Zoo: m = 0.25, γ = 256. */
  circleSoftmax: circleSoftmax(),
});
