import { HyperArcError } from '@hyperarc/kernels-cuda';

import { type IResNetShape, type PlanOptions, planIResNet } from './iresnet.js';
import { planMobileFaceNet } from './mobilefacenet.js';
import type { BackbonePlan } from './plan.js';

const WIDTHS = [64, 128, 256, 512] as const;

/** Ours, for small data sets and few cores; no published counterpart. w is the stem's width, and the stem's stride is 2. */
const narrow = (w: number): IResNetShape => ({ blocks: [1, 1, 1, 1], widths: [w, 2 * w, 4 * w, 8 * w], stemStride: 2 });

const iresnets: Readonly<Record<string, IResNetShape>> = {
  iresnet18: { blocks: [2, 2, 2, 2], widths: WIDTHS },
  iresnet34: { blocks: [3, 4, 6, 3], widths: WIDTHS },
  iresnet50: { blocks: [3, 4, 14, 3], widths: WIDTHS },
  iresnet100: { blocks: [3, 13, 30, 3], widths: WIDTHS },
  'iresnet10-w16': narrow(16),
  'iresnet10-w24': narrow(24),
  'iresnet10-w32': narrow(32),
};

const MOBILE_FACE_NET = 'mobilefacenet';

/** Names that {@link planBackbone} and createBackbone accept. */
export const backboneNames: readonly string[] = [MOBILE_FACE_NET, ...Object.keys(iresnets)];

/** Default input height and width, pixels: the ArcFace crop. */
export const DEFAULT_INPUT_SIZE = 112;
/** Default embedding size D. */
export const DEFAULT_EMBEDDING_SIZE = 512;

/**
 * The layers of a backbone, without building it.
 * @throws HyperArcError E_RANGE for an unknown name, an input size that is no positive multiple of 16, an embedding size below 1,
 *   a dropout outside [0, 1), or a seed of more than 32 bits.
 */
export function planBackbone(name: string, options: Partial<PlanOptions> = {}): BackbonePlan {
  const { inputSize = DEFAULT_INPUT_SIZE, embeddingSize = DEFAULT_EMBEDDING_SIZE, dropout = 0, seed = 0 } = options;
  if (!backboneNames.includes(name)) {
    throw new HyperArcError('E_RANGE', `name: expected one of ${backboneNames.join(', ')}, received '${name}'`);
  }
  if (!Number.isInteger(inputSize) || inputSize < 16 || inputSize % 16 !== 0) {
    throw new HyperArcError('E_RANGE', `inputSize: expected a positive multiple of 16 pixels, received ${inputSize}`);
  }
  if (!Number.isInteger(embeddingSize) || embeddingSize < 1) {
    throw new HyperArcError('E_RANGE', `embeddingSize: expected a positive integer, received ${embeddingSize}`);
  }
  if (!(dropout >= 0 && dropout < 1)) {
    throw new HyperArcError('E_RANGE', `dropout: expected a number in [0, 1), received ${dropout}`);
  }
  if (!Number.isInteger(seed) || seed !== (seed | 0)) {
    throw new HyperArcError('E_RANGE', `seed: expected a 32-bit integer, received ${seed}`);
  }
  const checked = { inputSize, embeddingSize, dropout, seed };
  const shape = iresnets[name];
  return shape === undefined ? planMobileFaceNet(name, checked) : planIResNet(name, shape, checked);
}
