import type { PlanOptions } from './iresnet.js';
import { type BackbonePlan, INPUT, PlanBuilder } from './plan.js';

export interface ResNetShape {
  /** Bottleneck blocks of the four stages. */
  blocks: readonly [number, number, number, number];
  /** Channels within the blocks of the four stages, a quarter of those between; the stem has those of the first. */
  widths: readonly [number, number, number, number];
}

const INIT = 'fan-out';
const EXPANSION = 4;

/** One bottleneck: convolutions 1×1, 3×3 (stride), 1×1, each with BN, ReLU between and after the sum with the input. */
function bottleneck(plan: PlanBuilder, name: string, input: string, width: number, stride: number): string {
  const filters = EXPANSION * width;
  let x = plan.conv(`${name}/conv1`, input, { filters: width, kernelSize: 1, init: INIT });
  x = plan.activation(`${name}/relu1`, plan.norm(`${name}/bn1`, x), 'relu');
  x = plan.conv(`${name}/conv2`, x, { filters: width, kernelSize: 3, stride, padding: 1, init: INIT });
  x = plan.activation(`${name}/relu2`, plan.norm(`${name}/bn2`, x), 'relu');
  x = plan.conv(`${name}/conv3`, x, { filters, kernelSize: 1, init: INIT });
  x = plan.norm(`${name}/bn3`, x);
  let shortcut = input;
  if (stride !== 1 || plan.shape(input)[2] !== filters) {
    shortcut = plan.conv(`${name}/shortcut/conv`, input, { filters, kernelSize: 1, stride, init: INIT });
    shortcut = plan.norm(`${name}/shortcut/bn`, shortcut);
  }
  return plan.activation(`${name}/relu3`, plan.sum(`${name}/sum`, x, shortcut), 'relu');
}

/**
 * ResNet (He et al. 2016) for faces as face.evoLVe has it: ImageNet's network (stem 7×7 stride 2 and max pooling, the stride of a block
 * in its 3×3 convolution) without the average pooling: BN, flatten, dropout, dense with bias, BN.
 */
export function planResNet(name: string, shape: ResNetShape, options: PlanOptions): BackbonePlan {
  const plan = new PlanBuilder(name, 'resnet', options.inputSize);
  let x = plan.conv('stem/conv', INPUT, { filters: shape.widths[0], kernelSize: 7, stride: 2, padding: 3, init: INIT });
  x = plan.activation('stem/relu', plan.norm('stem/bn', x), 'relu');
  x = plan.pool('stem/pool', x, { poolSize: 3, stride: 2, padding: 1 });
  shape.blocks.forEach((count, stage) => {
    for (let i = 0; i < count; i++) {
      const stride = stage > 0 && i === 0 ? 2 : 1;
      x = bottleneck(plan, `stage${stage + 1}/block${i + 1}`, x, shape.widths[stage]!, stride);
    }
  });
  x = plan.norm('head/bn', x);
  x = plan.flatten('head/flatten', x);
  x = plan.dropout('head/dropout', x, options.dropout, options.seed);
  x = plan.dense('head/fc', x, { units: options.embeddingSize, useBias: true, init: 'uniform-fan-in' });
  plan.norm('head/features', x);
  return plan.finish();
}
