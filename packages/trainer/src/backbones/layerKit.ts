import * as tfl from '@tensorflow/tfjs-layers';

import {
  Activation,
  DropPath,
  FusedBatchNorm,
  LayerNorm,
  MultiHeadAttention,
  PaddedConv2D,
  PaddedMaxPool,
  PatchEmbedding,
  PositionEmbedding,
  PReLU,
  PRELU_INITIAL_SLOPE,
  SeededDropout,
  SqueezeExcite,
  TokenDense,
  TokenDropout,
  TokenRestore,
} from '../layers/index.js';
import type { Operation } from './plan.js';

type SymbolicTensor = tfl.SymbolicTensor;
/** Adds one planned layer to the graph; all its outputs, of which all layers but token dropout have one. */
export type LayerMaker = (name: string, operation: Operation, inputs: SymbolicTensor[]) => SymbolicTensor[];

const apply = (layer: tfl.layers.Layer, inputs: SymbolicTensor | SymbolicTensor[]): SymbolicTensor[] => {
  const one = Array.isArray(inputs) && inputs.length === 1 ? inputs[0]! : inputs;
  const outputs = layer.apply(one) as SymbolicTensor | SymbolicTensor[];
  return Array.isArray(outputs) ? outputs : [outputs];
};

/** What both kits share: layers of tfjs that are already one dispatch, and layers that tfjs does not have. */
function applyCommon(name: string, operation: Operation, inputs: SymbolicTensor[]): SymbolicTensor[] {
  const input = inputs[0]!;
  switch (operation.kind) {
    case 'add':
      return apply(tfl.layers.add({ name }), inputs);
    case 'flatten':
      return apply(tfl.layers.flatten({ name }), input);
    case 'dense': {
      const { units, useBias } = operation;
      return apply(tfl.layers.dense({ name, units, useBias, kernelInitializer: 'zeros' }), input);
    }
    case 'dropout':
      return apply(new SeededDropout({ name, rate: operation.rate, seed: operation.seed }), input);
    case 'drop-path':
      return apply(new DropPath({ name, rate: operation.rate, seed: operation.seed }), input);
    case 'token-dropout':
      return apply(new TokenDropout({ name, rate: operation.rate, seed: operation.seed }), input);
    case 'token-restore':
      return apply(new TokenRestore({ name }), inputs);
    case 'squeeze-excite':
      return apply(new SqueezeExcite({ name, reduction: operation.reduction }), input);
    case 'patches':
      return apply(new PatchEmbedding({ name, filters: operation.filters, patchSize: operation.patchSize }), input);
    case 'positions':
      return apply(new PositionEmbedding({ name }), input);
    case 'attention':
      return apply(new MultiHeadAttention({ name, heads: operation.heads }), input);
    case 'token-dense':
      return apply(new TokenDense({ name, units: operation.units }), input);
    case 'pool': {
      const { poolSize, stride, padding } = operation;
      return apply(new PaddedMaxPool({ name, poolSize, stride, padding }), input);
    }
    case 'activation':
      return apply(new Activation({ name, function: operation.function }), input);
    default:
      throw new RangeError(`no layer for '${operation.kind}'`);
  }
}

/** HyperArc's fused layers. */
export const fusedKit: LayerMaker = (name, operation, inputs) => {
  switch (operation.kind) {
    case 'conv': {
      const { filters, kernelSize, stride, padding, groups } = operation;
      return apply(new PaddedConv2D({ name, filters, kernelSize, stride, padding, groups }), inputs);
    }
    case 'norm': {
      const { scaleTrainable, affine, epsilon } = operation;
      return apply(new FusedBatchNorm({ name, scaleTrainable, affine, epsilon }), inputs);
    }
    case 'prelu':
      return apply(new PReLU({ name }), inputs);
    case 'layer-norm':
      return apply(new LayerNorm({ name }), inputs);
    default:
      return applyCommon(name, operation, inputs);
  }
};

/**
 * The same network from tfjs's own layers, to measure the fused ones against. What tfjs does not have differs: the running variance is
 * biased, every γ is trained, and a grouped convolution that is not depthwise is still HyperArc's, as are the layers of a vision
 * transformer other than its norms.
 */
export const stockKit: LayerMaker = (name, operation, inputs) => {
  const input = inputs[0]!;
  switch (operation.kind) {
    case 'conv': {
      const { filters, kernelSize, stride, padding, groups } = operation;
      const channels = input.shape[3]!;
      if (groups > 1 && groups !== channels) return fusedKit(name, operation, inputs);
      const padded = padding > 0 ? apply(tfl.layers.zeroPadding2d({ padding, name: `${name}/pad` }), input)[0]! : input;
      const common = { name, kernelSize, strides: stride, useBias: false };
      const layer =
        groups > 1
          ? tfl.layers.depthwiseConv2d({ ...common, depthwiseInitializer: 'zeros' })
          : tfl.layers.conv2d({ ...common, filters, kernelInitializer: 'zeros' });
      return apply(layer, padded);
    }
    case 'norm': {
      const { affine, epsilon } = operation;
      const options = { name, epsilon, momentum: 0.9, center: affine, scale: affine };
      return apply(tfl.layers.batchNormalization(options), input);
    }
    case 'prelu': {
      const alphaInitializer = tfl.initializers.constant({ value: PRELU_INITIAL_SLOPE });
      return apply(tfl.layers.prelu({ name, alphaInitializer, sharedAxes: [1, 2] }), input);
    }
    case 'layer-norm':
      return apply(tfl.layers.layerNormalization({ name, epsilon: 1e-5 }), input);
    default:
      return applyCommon(name, operation, inputs);
  }
};
