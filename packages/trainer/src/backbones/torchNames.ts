import { HyperArcError } from '@hyperarc/kernels-cuda';

import { type BackbonePlan, INPUT, type PlannedLayer } from './plan.js';
import { torchModuleOf } from './torchModules.js';

/**
 * A weight of a backbone beside the tensor that the published PyTorch network keeps it in: arcface_torch's for IResNet, MobileFaceNet
 * and vision transformers, TFace's and AdaFace's for IR-SE, face.evoLVe's for ResNet.
 *
 * The layouts differ by a permutation: seen with the axes `split` (row-major, the same values as `shape`), axis i of PyTorch's
 * tensor is our axis `order[i]`; seen that way it has the values of `torchShape`. Examples: a kernel HWIO → OIHW has split
 * [k, k, in, out] and order [3, 2, 0, 1]; the dense layer after the flattened map has split [H, W, C, D] and order [3, 2, 0, 1], since
 * PyTorch flattens (C, H, W).
 */
export interface TorchWeight {
  /** `LAYER/part`, as in `readModelWeights` and in a checkpoint's backbone.safetensors. */
  readonly name: string;
  readonly shape: readonly number[];
  /** Key of the state dict, `layer1.0.conv1.weight`. */
  readonly torchName: string;
  readonly torchShape: readonly number[];
  readonly split: readonly number[];
  readonly order: readonly number[];
}

/** A weight within its layer and module. */
interface Part {
  ours: string;
  torch: string;
  /** Ours; that of PyTorch follows from the order unless given. */
  shape: readonly number[];
  torchShape?: readonly number[];
  split?: readonly number[];
  order?: readonly number[];
}

const same = (ours: string, torch: string, size: number): Part => ({ ours, torch, shape: [size] });

const scaleAndShift = (channels: number): Part[] => [same('gamma', 'weight', channels), same('beta', 'bias', channels)];

const size = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1);

/** [in, out] ↔ [out, in]. */
const linear = (ours: string, torch: string, inputs: number, outputs: number): Part => ({
  ours,
  torch,
  shape: [inputs, outputs],
  order: [1, 0],
});

/** Grouped too: [k, k, in, filters/groups] ↔ [filters, in/groups, k, k]. */
function convolution(k: number, inputs: number, filters: number, groups: number): Part {
  const [inGroup, outGroup] = [inputs / groups, filters / groups];
  return {
    ours: 'kernel',
    torch: 'weight',
    shape: [k, k, inputs, outGroup],
    torchShape: [filters, inGroup, k, k],
    split: [k, k, groups, inGroup, outGroup],
    order: [2, 4, 3, 0, 1],
  };
}

/** The dense layer over a flattened map [H, W, C]: our rows follow (H, W, C), PyTorch's columns (C, H, W). */
function flattenedLinear([height, width, channels]: readonly [number, number, number], units: number): Part {
  const inputs = height * width * channels;
  return {
    ours: 'kernel',
    torch: 'weight',
    shape: [inputs, units],
    torchShape: [units, inputs],
    split: [height, width, channels, units],
    order: [3, 2, 0, 1],
  };
}

/** @param input shape of what the layer reads, before a flattening. */
function partsOf({ operation }: PlannedLayer, input: readonly number[]): Part[] {
  const channels = input[input.length - 1]!;
  switch (operation.kind) {
    case 'conv':
      return [convolution(operation.kernelSize, channels, operation.filters, operation.groups)];
    case 'norm': {
      const statistics = [
        same('running_mean', 'running_mean', channels),
        same('running_variance', 'running_var', channels),
      ];
      return operation.affine ? [...scaleAndShift(channels), ...statistics] : statistics;
    }
    case 'layer-norm':
      return scaleAndShift(channels);
    case 'prelu':
      return [same('alpha', 'weight', channels)];
    case 'dense': {
      const { units, useBias } = operation;
      const kernel =
        input.length === 3
          ? flattenedLinear(input as readonly [number, number, number], units)
          : linear('kernel', 'weight', size(input), units);
      return useBias ? [kernel, same('bias', 'bias', units)] : [kernel];
    }
    case 'token-dense':
      return [linear('kernel', 'weight', channels, operation.units), same('bias', 'bias', operation.units)];
    case 'squeeze-excite': {
      const reduced = channels / operation.reduction;
      return [
        { ...linear('reduce', 'fc1.weight', channels, reduced), torchShape: [reduced, channels, 1, 1] },
        { ...linear('expand', 'fc2.weight', reduced, channels), torchShape: [channels, reduced, 1, 1] },
      ];
    }
    case 'attention':
      return [
        linear('qkv', 'qkv.weight', channels, 3 * channels),
        linear('projection', 'proj.weight', channels, channels),
        same('bias', 'proj.bias', channels),
      ];
    case 'patches':
      return [
        convolution(operation.patchSize, channels, operation.filters, 1),
        same('bias', 'bias', operation.filters),
      ];
    case 'positions':
      return [{ ours: 'positions', torch: 'pos_embed', shape: input, torchShape: [1, ...input] }];
    case 'token-restore':
      return [{ ours: 'token', torch: 'mask_token', shape: [channels], torchShape: [1, 1, channels] }];
    default:
      return [];
  }
}

/** Shape that a layer reads; through a flattening and its dropout, that of the map. */
function inputShape(plan: BackbonePlan, layer: PlannedLayer): readonly number[] {
  const source = layer.inputs[0]!;
  if (source === INPUT) return [plan.inputSize, plan.inputSize, 3];
  const input = plan.layers.find(({ name }) => name === source)!;
  const { kind } = input.operation;
  return kind === 'flatten' || kind === 'dropout' ? inputShape(plan, input) : input.outputShape;
}

/**
 * Every weight of a backbone (running statistics included, step counters not) with its PyTorch name and layout, in the order of the
 * plan. The state dict has `num_batches_tracked` besides, int64, for each batch norm: not needed to load it. That of a vision
 * transformer also has a `mask_token` where ours has none, with patchDropout 0: [1, 1, D], never used then.
 * Give the plan the sizes of the model: `planBackbone(name, { inputSize, embeddingSize })`.
 */
export function torchWeights(plan: BackbonePlan): TorchWeight[] {
  const moduleOf = torchModuleOf(plan);
  return plan.layers.flatMap((layer) =>
    partsOf(layer, inputShape(plan, layer)).map(({ ours, torch, shape, split = shape, order, torchShape }) => {
      const axes = order ?? split.map((_, i) => i);
      return {
        name: `${layer.name}/${ours}`,
        shape,
        torchName: [moduleOf(layer.name), torch].filter(Boolean).join('.'),
        torchShape: torchShape ?? axes.map((axis) => split[axis]!),
        split,
        order: axes,
      };
    }),
  );
}

/** Row-major `values` of `shape` with axis i taken from axis `order[i]`. */
function permute(values: Float32Array, shape: readonly number[], order: readonly number[]): Float32Array {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));
  const sizes = order.map((axis) => shape[axis]!);
  const steps = order.map((axis) => strides[axis]!);
  const result = new Float32Array(values.length);
  const index = new Array<number>(sizes.length).fill(0);
  for (let i = 0, from = 0; i < result.length; i++) {
    result[i] = values[from]!;
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      from += steps[axis]!;
      index[axis]!++;
      if (index[axis]! < sizes[axis]!) break;
      from -= steps[axis]! * sizes[axis]!;
      index[axis] = 0;
    }
  }
  return result;
}

function checkLength({ name, shape }: TorchWeight, values: Float32Array): void {
  if (values.length === size(shape)) return;
  throw new HyperArcError(
    'E_SHAPE',
    `${name}: expected ${size(shape)} values (${shape.join('×')}), received ${values.length}`,
  );
}

/**
 * Our values, of `weight.shape`, as PyTorch keeps them, of `weight.torchShape`; a new array.
 * @throws HyperArcError E_SHAPE for another number of values.
 */
export function toTorch(weight: TorchWeight, values: Float32Array): Float32Array {
  checkLength(weight, values);
  return permute(values, weight.split, weight.order);
}

/**
 * The inverse of {@link toTorch}.
 * @throws HyperArcError E_SHAPE for another number of values.
 */
export function fromTorch(weight: TorchWeight, values: Float32Array): Float32Array {
  checkLength(weight, values);
  const { split, order } = weight;
  const inverse = split.map((_, axis) => order.indexOf(axis));
  return permute(
    values,
    order.map((axis) => split[axis]!),
    inverse,
  );
}
