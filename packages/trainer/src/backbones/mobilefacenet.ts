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

export interface MobileFaceNetShape {
  /** Channels of the stem; the later stages have twice as many. */
  width: number;
  /** Blocks within the stem, and of the three stages after their strided one. One in the stem is a grouped convolution instead. */
  blocks: readonly [number, number, number, number];
}

/** Groups of the stem's second convolution. */
const STEM_GROUPS = 64;
/** Channels of the depthwise convolutions: of the blocks in the stem, and of strided one and blocks in each stage. */
const HIDDEN = { stem: 128, down: [128, 256, 512], blocks: [128, 256, 256] } as const;

/**
 * MobileFaceNet (Chen et al. 2018, "MobileFaceNets: efficient CNNs for accurate real-time face verification on mobile devices")
 * in the wider forms that InsightFace's arcface_torch trains: `mbf` with 128 stem channels, whose second convolution has 64 groups of
 * two channels, and `mbf_large` with 256. They end in a global depthwise convolution over the whole remaining map, a dense layer without
 * bias and a batch norm.
 */
export function planMobileFaceNet(name: string, shape: MobileFaceNetShape, options: PlanOptions): BackbonePlan {
  const { width, blocks } = shape;
  const plan = new PlanBuilder(name, 'mobilefacenet', options.inputSize);
  let x = convNormPrelu(plan, 'stem/conv1', INPUT, { filters: width, kernelSize: 3, stride: 2, padding: 1 });
  if (blocks[0] === 1) {
    x = convNormPrelu(plan, 'stem/conv2', x, { filters: width, kernelSize: 3, padding: 1, groups: STEM_GROUPS });
  } else {
    for (let i = 1; i <= blocks[0]; i++) x = bottleneck(plan, `stem/block${i}`, x, HIDDEN.stem, width, 1);
  }
  [width, 2 * width, 2 * width].forEach((filters, stage) => {
    const name = `stage${stage + 1}`;
    x = bottleneck(plan, `${name}/down`, x, HIDDEN.down[stage]!, filters, 2);
    for (let i = 1; i <= blocks[stage + 1]!; i++) {
      x = bottleneck(plan, `${name}/block${i}`, x, HIDDEN.blocks[stage]!, filters, 1);
    }
  });
  x = convNormPrelu(plan, 'head/separate', x, { filters: 512, kernelSize: 1 });
  x = convNorm(plan, 'head/global', x, { filters: 512, kernelSize: options.inputSize / 16, groups: 512 });
  x = plan.flatten('head/flatten', x);
  x = plan.dropout('head/dropout', x, options.dropout, options.seed);
  x = plan.dense('head/fc', x, { units: options.embeddingSize, useBias: false, init: 'fan-out' });
  plan.norm('head/features', x);
  return plan.finish();
}
