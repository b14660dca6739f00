import type { PlanOptions } from './iresnet.js';
import { type BackbonePlan, INPUT, PlanBuilder } from './plan.js';

export interface IRSEShape {
  /** Residual blocks of the four stages; each stage halves height and width. */
  blocks: readonly [number, number, number, number];
  /** Channels of the four stages; the stem has those of the first. */
  widths: readonly [number, number, number, number];
  /** Divides the widths: channels over hidden units of squeeze-and-excitation. */
  reduction: number;
}

const INIT = 'fan-out';

/**
 * One block: BN, conv 3×3, BN, PReLU, conv 3×3 (stride), BN, squeeze-and-excitation, plus the input: through a strided 1×1 conv and BN
 * where the number of channels changes, subsampled where only the size does.
 */
function block(
  plan: PlanBuilder,
  name: string,
  input: string,
  shape: { filters: number; stride: number; reduction: number },
) {
  const { filters, stride, reduction } = shape;
  let x = plan.norm(`${name}/bn1`, input);
  x = plan.conv(`${name}/conv1`, x, { filters, kernelSize: 3, padding: 1, init: INIT });
  x = plan.norm(`${name}/bn2`, x);
  x = plan.prelu(`${name}/prelu`, x);
  x = plan.conv(`${name}/conv2`, x, { filters, kernelSize: 3, stride, padding: 1, init: INIT });
  x = plan.norm(`${name}/bn3`, x);
  x = plan.squeezeExcite(`${name}/se`, x, reduction);
  let shortcut = input;
  if (plan.shape(input)[2] !== filters) {
    shortcut = plan.conv(`${name}/shortcut/conv`, input, { filters, kernelSize: 1, stride, init: INIT });
    shortcut = plan.norm(`${name}/shortcut/bn`, shortcut);
  } else if (stride !== 1) {
    shortcut = plan.pool(`${name}/shortcut/pool`, input, { poolSize: 1, stride, padding: 0 });
  }
  return plan.sum(`${name}/sum`, x, shortcut);
}

/**
 * IR-SE: the improved residual network of ArcFace (Deng et al. 2019) with squeeze-and-excitation (Hu et al. 2018), in the form of TFace's
 * and AdaFace's IR_SE_50 and IR_SE_101: SE without biases, no convolution in the shortcut of the first block, an output norm without
 * γ and β.
 */
export function planIRSE(name: string, shape: IRSEShape, options: PlanOptions): BackbonePlan {
  const plan = new PlanBuilder(name, 'ir-se', options.inputSize);
  let x = plan.conv('stem/conv', INPUT, { filters: shape.widths[0], kernelSize: 3, padding: 1, init: INIT });
  x = plan.norm('stem/bn', x);
  x = plan.prelu('stem/prelu', x);
  shape.blocks.forEach((count, stage) => {
    for (let i = 0; i < count; i++) {
      const unit = { filters: shape.widths[stage]!, stride: i === 0 ? 2 : 1, reduction: shape.reduction };
      x = block(plan, `stage${stage + 1}/block${i + 1}`, x, unit);
    }
  });
  x = plan.norm('head/bn', x);
  x = plan.flatten('head/flatten', x);
  x = plan.dropout('head/dropout', x, options.dropout, options.seed);
  x = plan.dense('head/fc', x, { units: options.embeddingSize, useBias: true, init: 'fan-out' });
  plan.norm('head/features', x, { affine: false });
  return plan.finish();
}
