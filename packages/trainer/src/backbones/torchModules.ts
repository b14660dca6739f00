import { HyperArcError } from '@hyperarc/kernels-cuda';

import type { BackbonePlan } from './plan.js';

/**
 * Our layer name → the module of the published PyTorch network, such as `layer1.0.conv1`; '' is the network itself. `blocks` are the
 * prefixes of all blocks of all stages.
 */
type ModuleNaming = (layer: string, blocks: readonly string[]) => string | undefined;

/** `layer1.0.conv1` and so on, with the layers that lie outside the stages given. */
function stagedNaming(outside: Readonly<Record<string, string>>): ModuleNaming {
  const parts: Readonly<Record<string, string>> = { 'shortcut/conv': 'downsample.0', 'shortcut/bn': 'downsample.1' };
  return (layer) => {
    const inBlock = /^stage(\d+)\/block(\d+)\/(.+)$/.exec(layer);
    if (inBlock === null) return outside[layer];
    const [, stage, block, part] = inBlock as unknown as [string, string, string, string];
    return `layer${stage}.${Number(block) - 1}.${parts[part] ?? part}`;
  };
}

/** arcface_torch's IResNet: `stage1/block1/conv1` is `layer1.0.conv1`. */
const iresnet = stagedNaming({
  'stem/conv': 'conv1',
  'stem/bn': 'bn1',
  'stem/prelu': 'prelu',
  'head/bn': 'bn2',
  'head/fc': 'fc',
  'head/features': 'features',
});

/** face.evoLVe's ResNet. */
const resnet = stagedNaming({
  'stem/conv': 'conv1',
  'stem/bn': 'bn1',
  'head/bn': 'bn_o1',
  'head/fc': 'fc',
  'head/features': 'bn_o2',
});

/** TFace's and AdaFace's IR-SE: blocks are counted through all stages, `stage2/block1/conv1` of IR-SE-50 is `body.3.res_layer.1`. */
const irse: ModuleNaming = (layer, blocks) => {
  const outside: Record<string, string> = {
    'stem/conv': 'input_layer.0',
    'stem/bn': 'input_layer.1',
    'stem/prelu': 'input_layer.2',
    'head/bn': 'output_layer.0',
    'head/fc': 'output_layer.3',
    'head/features': 'output_layer.4',
  };
  const parts: Record<string, string> = {
    bn1: 'res_layer.0',
    conv1: 'res_layer.1',
    bn2: 'res_layer.2',
    prelu: 'res_layer.3',
    conv2: 'res_layer.4',
    bn3: 'res_layer.5',
    se: 'res_layer.se_block',
    'shortcut/conv': 'shortcut_layer.0',
    'shortcut/bn': 'shortcut_layer.1',
  };
  const [, block, part] = /^(stage\d+\/block\d+)\/(.+)$/.exec(layer) ?? [];
  if (block === undefined) return outside[layer];
  return parts[part!] && `body.${blocks.indexOf(block)}.${parts[part!]}`;
};

/** arcface_torch's vision transformer. */
const vit: ModuleNaming = (layer) => {
  const outside: Record<string, string> = {
    'stem/patches': 'patch_embed.proj',
    'stem/positions': '',
    'head/norm': 'norm',
    'head/restore': '',
    'head/fc1': 'feature.0',
    'head/bn1': 'feature.1',
    'head/fc2': 'feature.2',
    'head/features': 'feature.3',
  };
  const parts: Record<string, string> = {
    norm1: 'norm1',
    attention: 'attn',
    norm2: 'norm2',
    fc1: 'mlp.fc1',
    fc2: 'mlp.fc2',
  };
  const [, block, part] = /^block(\d+)\/(.+)$/.exec(layer) ?? [];
  if (block === undefined) return outside[layer];
  return parts[part!] && `blocks.${Number(block) - 1}.${parts[part!]}`;
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
  const unit = /^(?:stem|stage(\d+))\/(?:down|block(\d+))\/(expand|depthwise|project)$/.exec(place);
  if (unit === null) return undefined;
  const [, stage = 0, block, step] = unit;
  const steps = `layers.${['expand', 'depthwise', 'project'].indexOf(step!)}.layers.${inside}`;
  const position = 2 * Number(stage);
  return block === undefined
    ? `layers.${position}.${steps}`
    : `layers.${position + 1}.layers.${Number(block) - 1}.${steps}`;
};

const namings: Readonly<Record<BackbonePlan['family'], ModuleNaming>> = {
  iresnet,
  'ir-se': irse,
  resnet,
  mobilefacenet: mobileFaceNet,
  vit,
};

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
