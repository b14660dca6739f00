import type { PlanOptions } from './iresnet.js';
import { type BackbonePlan, INPUT, PlanBuilder } from './plan.js';

export interface ViTShape {
  /** Channels of a token. */
  dim: number;
  /** Transformer blocks. */
  depth: number;
  /** Divides dim. */
  heads: number;
  /** Pixels. */
  patchSize: number;
}

/** arcface_torch's mask_ratio and drop_path_rate for `vit_t`, `vit_s` and `vit_b`. */
export const VIT_DEFAULTS = { patchDropout: 0.1, dropPath: 0.1, activation: 'relu6' } as const;

const MLP_RATIO = 4;
/** Of the batch norms of the head. */
const HEAD_EPSILON = 2e-5;

/**
 * Vision transformer (Dosovitskiy et al. 2021) in the form of arcface_torch's vit.py: patches, learned positions, no class token; blocks of
 * x + attention(LN(x)) and x + MLP(LN(x)), each branch under drop path; LN; all tokens flattened, dense, BN, dense, BN. While training
 * the blocks see only the tokens that patch dropout leaves; a learned token stands in the places of the others after the last LN. Its
 * MLP has ReLU6 where the paper has GELU.
 */
export function planViT(name: string, shape: ViTShape, options: PlanOptions): BackbonePlan {
  const { dim, depth, heads, patchSize } = shape;
  const { seed, embeddingSize } = options;
  const { patchDropout = VIT_DEFAULTS.patchDropout, dropPath = VIT_DEFAULTS.dropPath } = options;
  const activation = options.activation ?? VIT_DEFAULTS.activation;
  const plan = new PlanBuilder(name, 'vit', options.inputSize);
  let x = plan.patches('stem/patches', INPUT, { filters: dim, patchSize });
  x = plan.positions('stem/positions', x);
  const dropped = plan.tokenDropout('stem/dropout', x, patchDropout, seed);
  x = dropped;
  for (let i = 0; i < depth; i++) {
    const block = `block${i + 1}`;
    const rate = depth === 1 ? 0 : (dropPath * i) / (depth - 1);
    let branch = plan.attention(`${block}/attention`, plan.layerNorm(`${block}/norm1`, x), heads);
    x = plan.sum(`${block}/sum1`, x, plan.dropPath(`${block}/drop1`, branch, rate, seed));
    branch = plan.tokenDense(`${block}/fc1`, plan.layerNorm(`${block}/norm2`, x), MLP_RATIO * dim);
    branch = plan.tokenDense(`${block}/fc2`, plan.activation(`${block}/${activation}`, branch, activation), dim);
    x = plan.sum(`${block}/sum2`, x, plan.dropPath(`${block}/drop2`, branch, rate, seed));
  }
  x = plan.layerNorm('head/norm', x);
  x = plan.tokenRestore('head/restore', x, dropped);
  x = plan.flatten('head/flatten', x);
  x = plan.dense('head/fc1', x, { units: dim, useBias: false, init: 'normal-0.02' });
  x = plan.norm('head/bn1', x, { epsilon: HEAD_EPSILON });
  x = plan.dense('head/fc2', x, { units: embeddingSize, useBias: false, init: 'normal-0.02' });
  plan.norm('head/features', x, { epsilon: HEAD_EPSILON });
  return plan.finish();
}
