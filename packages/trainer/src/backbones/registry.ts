import { HyperArcError } from '@hyperarc/kernels-cuda';

import { type IResNetShape, type PlanOptions, planIResNet } from './iresnet.js';
import { type IRSEShape, planIRSE } from './irse.js';
import { type MobileFaceNetShape, planMobileFaceNet } from './mobilefacenet.js';
import type { BackbonePlan } from './plan.js';
import { planResNet, type ResNetShape } from './resnet.js';
import { planViT, type ViTShape } from './vit.js';

type Planner = (name: string, options: PlanOptions) => BackbonePlan;

const WIDTHS = [64, 128, 256, 512] as const;

/** Ours, for small data sets and few cores; no published counterpart. w is the stem's width, and the stem's stride is 2. */
const narrow = (w: number): IResNetShape => ({ blocks: [1, 1, 1, 1], widths: [w, 2 * w, 4 * w, 8 * w], stemStride: 2 });

const mobile =
  (shape: MobileFaceNetShape): Planner =>
  (name, options) =>
    planMobileFaceNet(name, shape, options);
const iresnet =
  (shape: IResNetShape): Planner =>
  (name, options) =>
    planIResNet(name, shape, options);
const irse =
  (blocks: IRSEShape['blocks']): Planner =>
  (name, options) =>
    planIRSE(name, { blocks, widths: WIDTHS, reduction: 16 }, options);
const resnet =
  (blocks: ResNetShape['blocks']): Planner =>
  (name, options) =>
    planResNet(name, { blocks, widths: WIDTHS }, options);
const vit =
  (shape: Pick<ViTShape, 'dim' | 'depth'>): Planner =>
  (name, options) =>
    planViT(name, { ...shape, heads: 8, patchSize: 9 }, options);

const vits: ReadonlyMap<string, Planner> = new Map([
  ['vit-t', vit({ dim: 256, depth: 12 })],
  ['vit-s', vit({ dim: 512, depth: 12 })],
  ['vit-b', vit({ dim: 512, depth: 24 })],
  ['vit-l', vit({ dim: 768, depth: 24 })],
]);

const planners: ReadonlyMap<string, Planner> = new Map([
  ['mobilefacenet', mobile({ width: 128, blocks: [1, 4, 6, 2] })],
  ['mobilefacenet-large', mobile({ width: 256, blocks: [2, 8, 12, 4] })],
  ['iresnet18', iresnet({ blocks: [2, 2, 2, 2], widths: WIDTHS })],
  ['iresnet34', iresnet({ blocks: [3, 4, 6, 3], widths: WIDTHS })],
  ['iresnet50', iresnet({ blocks: [3, 4, 14, 3], widths: WIDTHS })],
  ['iresnet100', iresnet({ blocks: [3, 13, 30, 3], widths: WIDTHS })],
  ['iresnet200', iresnet({ blocks: [6, 26, 60, 6], widths: WIDTHS })],
  ['irse50', irse([3, 4, 14, 3])],
  ['irse100', irse([3, 13, 30, 3])],
  ['resnet50', resnet([3, 4, 6, 3])],
  ...vits,
  ['iresnet10-w16', iresnet(narrow(16))],
  ['iresnet10-w24', iresnet(narrow(24))],
  ['iresnet10-w32', iresnet(narrow(32))],
]);

/** Names that {@link planBackbone} and createBackbone accept. */
export const backboneNames: readonly string[] = [...planners.keys()];

/** Those of them that take patchDropout, dropPath and activation, and no dropout. */
export const visionTransformers: readonly string[] = [...vits.keys()];

/** Default input height and width, pixels: the ArcFace crop. */
export const DEFAULT_INPUT_SIZE = 112;
/** Default embedding size D. */
export const DEFAULT_EMBEDDING_SIZE = 512;

function share(argument: string, value: number | undefined): void {
  if (value === undefined || (value >= 0 && value < 1)) return;
  throw new HyperArcError('E_RANGE', `${argument}: expected a number in [0, 1), received ${value}`);
}

/** Options that fit only some networks. */
function checkFit(name: string, options: Partial<PlanOptions>): void {
  if (visionTransformers.includes(name)) {
    share('patchDropout', options.patchDropout);
    share('dropPath', options.dropPath);
    const { activation, dropout = 0 } = options;
    if (activation !== undefined && activation !== 'relu6' && activation !== 'gelu') {
      throw new HyperArcError('E_RANGE', `activation: expected relu6 or gelu, received ${String(activation)}`);
    }
    if (dropout === 0) return;
    const fix = 'use patchDropout or dropPath';
    throw new HyperArcError('E_RANGE', `dropout: expected 0 with ${name}, received ${dropout}; ${fix}`);
  }
  for (const key of ['patchDropout', 'dropPath', 'activation'] as const) {
    if (options[key] === undefined) continue;
    const only = `expected only with ${visionTransformers.join(', ')}`;
    throw new HyperArcError('E_RANGE', `${key}: ${only}, received ${options[key]} with ${name}; remove it`);
  }
}

/**
 * The layers of a backbone, without building it.
 * @throws HyperArcError E_RANGE for an unknown name, an input size that is no positive multiple of 16, an embedding size below 1,
 *   a dropout outside [0, 1), a seed of more than 32 bits, or an option that this network does not take.
 */
export function planBackbone(name: string, options: Partial<PlanOptions> = {}): BackbonePlan {
  const { inputSize = DEFAULT_INPUT_SIZE, embeddingSize = DEFAULT_EMBEDDING_SIZE, dropout = 0, seed = 0 } = options;
  const planner = planners.get(name);
  if (planner === undefined) {
    throw new HyperArcError('E_RANGE', `name: expected one of ${backboneNames.join(', ')}, received '${name}'`);
  }
  if (!Number.isInteger(inputSize) || inputSize < 16 || inputSize % 16 !== 0) {
    throw new HyperArcError('E_RANGE', `inputSize: expected a positive multiple of 16 pixels, received ${inputSize}`);
  }
  if (!Number.isInteger(embeddingSize) || embeddingSize < 1) {
    throw new HyperArcError('E_RANGE', `embeddingSize: expected a positive integer, received ${embeddingSize}`);
  }
  share('dropout', dropout);
  if (!Number.isInteger(seed) || seed !== (seed | 0)) {
    throw new HyperArcError('E_RANGE', `seed: expected a 32-bit integer, received ${seed}`);
  }
  checkFit(name, options);
  const { patchDropout, dropPath, activation } = options;
  return planner(name, { inputSize, embeddingSize, dropout, seed, patchDropout, dropPath, activation });
}
