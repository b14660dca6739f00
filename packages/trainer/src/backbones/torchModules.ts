import { HyperArcError } from '@hyperarc/kernels-cuda';

import type { BackbonePlan } from './plan.js';

/** Our layer name → the module of the published PyTorch network, such as `layer1.0.conv1`. */
type ModuleNaming = (layer: string, blocks: readonly string[]) => string | undefined;

/** arcface_torch's IResNet: `stage1/block1/conv1` is `layer1.0.conv1`. */
const iresnet: ModuleNaming = (layer) => {
  const outside: Record<string, string> = {
    'stem/conv': 'conv1',
    'stem/bn': 'bn1',
    'stem/prelu': 'prelu',
    'head/bn': 'bn2',
    'head/fc': 'fc',
    'head/features': 'features',
  };
  const inBlock = /^stage(\d+)\/block(\d+)\/(.+)$/.exec(layer);
  if (inBlock === null) return outside[layer];
  const [, stage, block, part] = inBlock as unknown as [string, string, string, string];
  const parts: Record<string, string> = { 'shortcut/conv': 'downsample.0', 'shortcut/bn': 'downsample.1' };
  return `layer${stage}.${Number(block) - 1}.${parts[part] ?? part}`;
};

/** arcface_torch's MobileFaceNet: blocks within numbered `layers`, of conv, batch norm and PReLU. */
const mobileFaceNet: ModuleNaming = (layer) => {
  const outside: Record<string, string> = { 'head/fc': 'features.layers.2', 'head/features': 'features.layers.3' };
  if (layer in outside) return outside[layer];
  const [, place, part] = /^(.+)\/(conv|bn|prelu)$/.exec(layer) ?? [];
  const inside = ['conv', 'bn', 'prelu'].indexOf(part ?? '');
  if (place === undefined || inside < 0) return undefined;
  const plain: Record<string, string> = {
    'stem/conv1': 'layers.0',
    'stem/conv2': 'layers.1',
    'head/separate': 'conv_sep',
    'head/global': 'features.layers.0',
  };
  if (place in plain) return `${plain[place]}.layers.${inside}`;
  const unit = /^stage(\d+)\/(?:down|block(\d+))\/(expand|depthwise|project)$/.exec(place);
  if (unit === null) return undefined;
  const [, stage, block, step] = unit;
  const steps = `layers.${['expand', 'depthwise', 'project'].indexOf(step!)}.layers.${inside}`;
  const position = 2 * Number(stage);
  return block === undefined
    ? `layers.${position}.${steps}`
    : `layers.${position + 1}.layers.${Number(block) - 1}.${steps}`;
};

const namings: Readonly<Record<BackbonePlan['family'], ModuleNaming>> = { iresnet, mobilefacenet: mobileFaceNet };

/**
 * The name that the published PyTorch network has for a layer with weights.
 * @throws HyperArcError E_RANGE for a layer that the family has no name for.
 */
export function torchModuleOf(plan: BackbonePlan): (layer: string) => string {
  const blocks = [...new Set(plan.layers.flatMap(({ name }) => /^stage\d+\/block\d+(?=\/)/.exec(name) ?? []))];
  return (layer) => {
    const module = namings[plan.family](layer, blocks);
    if (module !== undefined) return module;
    throw new HyperArcError('E_RANGE', `layer: expected one that PyTorch's ${plan.family} has, received '${layer}'`);
  };
}
