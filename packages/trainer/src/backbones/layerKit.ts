import * as tfl from '@tensorflow/tfjs-layers';

import { FusedBatchNorm, PaddedConv2D, PReLU, PRELU_INITIAL_SLOPE, SeededDropout } from '../layers/index.js';
import type { Operation } from './plan.js';

type SymbolicTensor = tfl.SymbolicTensor;
/** Adds one planned layer to the graph. */
export type LayerMaker = (name: string, operation: Operation, inputs: SymbolicTensor[]) => SymbolicTensor;

/** What both kits share: the layers of tfjs that are already one dispatch. */
function applyCommon(name: string, operation: Operation, inputs: SymbolicTensor[]): SymbolicTensor {
  switch (operation.kind) {
    case 'add':
      return tfl.layers.add({ name }).apply(inputs) as SymbolicTensor;
    case 'flatten':
      return tfl.layers.flatten({ name }).apply(inputs[0]!) as SymbolicTensor;
    case 'dropout':
      return new SeededDropout({ name, rate: operation.rate, seed: operation.seed }).apply(
        inputs[0]!,
      ) as SymbolicTensor;
    case 'dense': {
      const { units, useBias } = operation;
      return tfl.layers.dense({ name, units, useBias, kernelInitializer: 'zeros' }).apply(inputs[0]!) as SymbolicTensor;
    }
    default:
      throw new RangeError(`no layer for '${operation.kind}'`);
  }
}

/** HyperArc's fused layers. */
export const fusedKit: LayerMaker = (name, operation, inputs) => {
  const apply = (layer: tfl.layers.Layer) => layer.apply(inputs[0]!) as SymbolicTensor;
  switch (operation.kind) {
    case 'conv': {
      const { filters, kernelSize, stride, padding, groups } = operation;
      return apply(new PaddedConv2D({ name, filters, kernelSize, stride, padding, groups }));
    }
    case 'norm':
      return apply(new FusedBatchNorm({ name, scaleTrainable: operation.scaleTrainable }));
    case 'prelu':
      return apply(new PReLU({ name }));
    default:
      return applyCommon(name, operation, inputs);
  }
};

/**
 * The same network from tfjs's own layers, to measure the fused ones against. What tfjs does not have differs: the running variance is
 * biased, every γ is trained, and a grouped convolution that is not depthwise is still HyperArc's.
 */
export const stockKit: LayerMaker = (name, operation, inputs) => {
  switch (operation.kind) {
    case 'conv': {
      const { filters, kernelSize, stride, padding, groups } = operation;
      const channels = inputs[0]!.shape[3]!;
      if (groups > 1 && groups !== channels) return fusedKit(name, operation, inputs);
      let x = inputs[0]!;
      if (padding > 0) x = tfl.layers.zeroPadding2d({ padding, name: `${name}/pad` }).apply(x) as SymbolicTensor;
      const common = { name, kernelSize, strides: stride, useBias: false };
      return (
        groups > 1
          ? tfl.layers.depthwiseConv2d({ ...common, depthwiseInitializer: 'zeros' })
          : tfl.layers.conv2d({ ...common, filters, kernelInitializer: 'zeros' })
      ).apply(x) as SymbolicTensor;
    }
    case 'norm':
      return tfl.layers.batchNormalization({ name, epsilon: 1e-5, momentum: 0.9 }).apply(inputs[0]!) as SymbolicTensor;
    case 'prelu': {
      const alphaInitializer = tfl.initializers.constant({ value: PRELU_INITIAL_SLOPE });
      return tfl.layers.prelu({ name, alphaInitializer, sharedAxes: [1, 2] }).apply(inputs[0]!) as SymbolicTensor;
    }
    default:
      return applyCommon(name, operation, inputs);
  }
};
