import { type BackbonePlan, INPUT, PlanBuilder } from './plan.js';

export interface IResNetShape {
  /** Residual blocks of the four stages; each stage halves height and width. */
  blocks: readonly [number, number, number, number];
  /** Stride of the stem; with 2 the first stage has stride 1, which saves the work at full resolution. Default 1. */
  stemStride?: 1 | 2;
  /** Channels of the four stages; the stem has those of the first. */
  widths: readonly [number, number, number, number];
}

export interface PlanOptions {
  /** Pixels, a multiple of 16. */
  inputSize: number;
  embeddingSize: number;
  /** Share of the flattened features dropped while training, in [0, 1). */
  dropout: number;
  /** 32-bit integer; here only what is dropped depends on it. */
  seed: number;
  /** Vision transformers only, by default as arcface_torch's: share of the tokens dropped while training, in [0, 1); default 0.1. */
  patchDropout?: number | undefined;
  /** Drop path of the last block, in [0, 1), rising linearly from 0 at the first; default 0.1. */
  dropPath?: number | undefined;
  /** Between the two dense layers of a block; default relu6. */
  activation?: 'relu6' | 'gelu' | undefined;
}

const INIT = 'normal-0.1';

/**
 * One block: BN, conv 3×3, BN, PReLU, conv 3×3 (stride), BN, plus the input (through a strided 1×1 conv and BN where the
 * shape changes). No activation after the sum.
 */
function block(plan: PlanBuilder, name: string, input: string, filters: number, stride: number): string {
  let x = plan.norm(`${name}/bn1`, input);
  x = plan.conv(`${name}/conv1`, x, { filters, kernelSize: 3, padding: 1, init: INIT });
  x = plan.norm(`${name}/bn2`, x);
  x = plan.prelu(`${name}/prelu`, x);
  x = plan.conv(`${name}/conv2`, x, { filters, kernelSize: 3, stride, padding: 1, init: INIT });
  x = plan.norm(`${name}/bn3`, x);
  let shortcut = input;
  if (stride !== 1) {
    shortcut = plan.conv(`${name}/shortcut/conv`, input, { filters, kernelSize: 1, stride, init: INIT });
    shortcut = plan.norm(`${name}/shortcut/bn`, shortcut);
  }
  return plan.sum(`${name}/sum`, x, shortcut);
}

/**
 * IResNet (Duta et al. 2020, "Improved residual networks", as used by Deng et al. 2019, "ArcFace"): stem 3×3 stride 1, four
 * stages, then BN, flatten, dropout, dense with bias, and a batch norm whose γ stays 1.
 */
export function planIResNet(name: string, shape: IResNetShape, options: PlanOptions): BackbonePlan {
  const plan = new PlanBuilder(name, 'iresnet', options.inputSize);
  const stemStride = shape.stemStride ?? 1;
  const stem = { filters: shape.widths[0], kernelSize: 3, stride: stemStride, padding: 1, init: INIT } as const;
  let x = plan.conv('stem/conv', INPUT, stem);
  x = plan.norm('stem/bn', x);
  x = plan.prelu('stem/prelu', x);
  shape.blocks.forEach((count, stage) => {
    const firstStride = stage === 0 ? 2 / stemStride : 2;
    for (let i = 0; i < count; i++) {
      x = block(plan, `stage${stage + 1}/block${i + 1}`, x, shape.widths[stage]!, i === 0 ? firstStride : 1);
    }
  });
  x = plan.norm('head/bn', x);
  x = plan.flatten('head/flatten', x);
  x = plan.dropout('head/dropout', x, options.dropout, options.seed);
  x = plan.dense('head/fc', x, { units: options.embeddingSize, useBias: true, init: 'uniform-fan-in' });
  plan.norm('head/features', x, { scaleTrainable: false });
  return plan.finish();
}
