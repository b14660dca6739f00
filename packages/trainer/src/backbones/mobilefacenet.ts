import type { PlanOptions } from './iresnet.js';
import { type BackbonePlan, INPUT, PlanBuilder } from './plan.js';

interface ConvOptions {
  filters: number;
  kernelSize: number;
  stride?: number;
  padding?: number;
  groups?: number;
}

function convNorm(plan: PlanBuilder, name: string, input: string, options: ConvOptions): string {
  return plan.norm(`${name}/bn`, plan.conv(`${name}/conv`, input, { ...options, init: 'fan-out' }));
}

function convNormPrelu(plan: PlanBuilder, name: string, input: string, options: ConvOptions): string {
  return plan.prelu(`${name}/prelu`, convNorm(plan, name, input, options));
}

/** 1×1 expansion to `hidden` channels, 3×3 depthwise, linear 1×1 projection (Sandler et al. 2018, "MobileNetV2"). */
function bottleneck(
  plan: PlanBuilder,
  name: string,
  input: string,
  hidden: number,
  filters: number,
  stride: number,
): string {
  let x = convNormPrelu(plan, `${name}/expand`, input, { filters: hidden, kernelSize: 1 });
  x = convNormPrelu(plan, `${name}/depthwise`, x, {
    filters: hidden,
    kernelSize: 3,
    stride,
    padding: 1,
    groups: hidden,
  });
  x = convNorm(plan, `${name}/project`, x, { filters, kernelSize: 1 });
  return stride === 1 ? plan.sum(`${name}/sum`, input, x) : x;
}

/**
 * MobileFaceNet (Chen et al. 2018, "MobileFaceNets: efficient CNNs for accurate real-time face verification on mobile devices")
 * in the wider form that InsightFace's arcface_torch trains as `mbf`: 128 stem channels, whose second convolution has 64 groups of
 * two channels. It ends in a global depthwise convolution over the whole remaining map, a dense layer without bias and a batch norm.
 */
export function planMobileFaceNet(name: string, options: PlanOptions): BackbonePlan {
  const plan = new PlanBuilder(name, 'mobilefacenet', options.inputSize);
  let x = convNormPrelu(plan, 'stem/conv1', INPUT, { filters: 128, kernelSize: 3, stride: 2, padding: 1 });
  x = convNormPrelu(plan, 'stem/conv2', x, { filters: 128, kernelSize: 3, padding: 1, groups: 64 });
  const stages = [
    { down: 128, hidden: 128, filters: 128, blocks: 4 },
    { down: 256, hidden: 256, filters: 256, blocks: 6 },
    { down: 512, hidden: 256, filters: 256, blocks: 2 },
  ];
  stages.forEach(({ down, hidden, filters, blocks }, stage) => {
    x = bottleneck(plan, `stage${stage + 1}/down`, x, down, filters, 2);
    for (let i = 1; i <= blocks; i++) x = bottleneck(plan, `stage${stage + 1}/block${i}`, x, hidden, filters, 1);
  });
  x = convNormPrelu(plan, 'head/separate', x, { filters: 512, kernelSize: 1 });
  x = convNorm(plan, 'head/global', x, { filters: 512, kernelSize: options.inputSize / 16, groups: 512 });
  x = plan.flatten('head/flatten', x);
  x = plan.dropout('head/dropout', x, options.dropout, options.seed);
  x = plan.dense('head/fc', x, { units: options.embeddingSize, useBias: false, init: 'fan-out' });
  plan.norm('head/features', x);
  return plan.finish();
}
