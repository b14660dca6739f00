import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import { type WalkedLayer, weightValues } from '../walk.js';
import { activation, like, type OnnxEmitter, outputShape } from './emitter.js';
import type { OnnxGraph, OnnxValue } from './graph.js';
import { channelsFirstRows, convKernel } from './kernels.js';
import { activationLayer, maxPool, squeezeExcite } from './maps.js';
import { attention, layerNorm, patches, positions, tokenDense } from './tokens.js';

type Config = Record<string, unknown>;

/** Batch norm with its running statistics. @param parts of the weights: γ, β, mean, variance. */
function norm(parts: readonly [string, string, string, string]): OnnxEmitter {
  return (graph, walked, [given]) => {
    const { layer } = walked;
    const input = typeof given!.order === 'string' ? given! : graph.inTfjsOrder(given!);
    const { epsilon, axis = -1 } = layer.getConfig() as { epsilon: number; axis?: number };
    const channels = input.shape[input.shape.length - 1]!;
    if (axis !== -1 && axis !== input.shape.length) {
      throw new HyperArcError(
        'E_RANGE',
        `layer ${layer.name}: expected to normalise over the last axis, received axis ${axis}`,
      );
    }
    // γ or β may be left out of tfjs's own layer.
    const defaults: Readonly<Record<string, number>> = { [parts[0]]: 1, [parts[1]]: 0 };
    const names = parts.map((part) => {
      const absent = !layer.weights.some(({ originalName }) => originalName.endsWith(`/${part}`));
      const values = absent ? new Float32Array(channels).fill(defaults[part]!) : weightValues(layer, part);
      return graph.constant(`${layer.name}/${part}`, [channels], values);
    });
    const name = graph.node('BatchNormalization', layer.name, [input.name, ...names], { epsilon: { float: epsilon } });
    return like(name, walked, input);
  };
}

const prelu: OnnxEmitter = (graph, walked, [given]) => {
  const { layer } = walked;
  const input = typeof given!.order === 'string' ? given! : graph.inTfjsOrder(given!);
  const values = weightValues(layer, 'alpha');
  const channels = input.shape[input.shape.length - 1]!;
  if (values.length !== channels) {
    throw new HyperArcError(
      'E_RANGE',
      `layer ${layer.name}: expected one slope a channel (${channels}), received ${values.length}; give sharedAxes [1, 2]`,
    );
  }
  const shape = input.order === 'channels-first' ? [channels, 1, 1] : [channels];
  const slope = graph.constant(`${layer.name}/alpha`, shape, values);
  return like(graph.node('PRelu', layer.name, [input.name, slope]), walked, input);
};

/** A convolution, [top, left, bottom, right] zeros around its input. */
function convolve(
  graph: OnnxGraph,
  walked: WalkedLayer,
  input: OnnxValue,
  kernelPart: string,
  { stride, groups, padding }: { stride: readonly number[]; groups: number; padding: number },
): OnnxValue {
  const { layer } = walked;
  const kernel = layer.weights.find(({ originalName }) => originalName.endsWith(`/${kernelPart}`))!;
  const shape = kernel.shape as [number, number, number, number];
  const [height, width, channels, filtersPerGroup] = shape;
  const values = convKernel(weightValues(layer, kernelPart), shape, groups);
  const filters = filtersPerGroup * groups;
  const weights = [graph.constant(`${layer.name}/kernel`, [filters, channels / groups, height, width], values)];
  if ((layer.getConfig() as Config)['useBias'] === true) {
    weights.push(graph.constant(`${layer.name}/bias`, [filters], weightValues(layer, 'bias')));
  }
  const name = graph.node('Conv', layer.name, [input.name, ...weights], {
    kernel_shape: [height, width],
    strides: stride,
    pads: [padding, padding, padding, padding],
    group: groups,
  });
  return like(name, walked, input);
}

const paddedConv: OnnxEmitter = (graph, walked, inputs) => {
  const { stride, groups, padding } = walked.layer.getConfig() as { stride: number; groups: number; padding: number };
  return convolve(graph, walked, graph.channelsFirst(inputs[0]!), 'kernel', {
    stride: [stride, stride],
    groups,
    padding,
  });
};

/** tfjs's own convolutions. Their `same` pads stride 2 on the far side only, so only `valid` and centred ones are taken. */
function stockConv(kernelPart: string): OnnxEmitter {
  return (graph, walked, inputs) => {
    const { layer } = walked;
    const input = graph.channelsFirst(inputs[0]!);
    const config = layer.getConfig() as Config;
    const [kernelSize, stride] = [config['kernelSize'] as number[], config['strides'] as number[]];
    const dilated = [config['dilationRate'] ?? 1].flat().some((rate) => rate !== 1);
    const centred =
      stride.every((step) => step === 1) && kernelSize.every((size) => size % 2 === 1 && size === kernelSize[0]);
    if (dilated || config['dataFormat'] === 'channelsFirst' || (config['padding'] !== 'valid' && !centred)) {
      throw new HyperArcError(
        'E_RANGE',
        `layer ${layer.name}: expected a convolution with padding 'valid', or 'same' at stride 1 with an odd kernel, and no dilation, ` +
          `received padding '${String(config['padding'])}', strides ${stride.join('×')}; use zeroPadding2d and 'valid'`,
      );
    }
    const value = convolve(graph, walked, input, kernelPart, {
      stride,
      groups: kernelPart === 'kernel' ? 1 : input.shape[2]!,
      padding: config['padding'] === 'valid' ? 0 : (kernelSize[0]! - 1) / 2,
    });
    return { ...value, name: activation(graph, walked, value.name, config['activation']) };
  };
}

const zeroPadding: OnnxEmitter = (graph, walked, inputs) => {
  const { layer } = walked;
  const input = graph.channelsFirst(inputs[0]!);
  const [[top, bottom], [left, right]] = layer.getConfig()['padding'] as unknown as [
    [number, number],
    [number, number],
  ];
  const pads = graph.constant(`${layer.name}/pads`, [8], [0, 0, top, left, 0, 0, bottom, right]);
  return like(graph.node('Pad', layer.name, [input.name, pads]), walked, input);
};

const add: OnnxEmitter = (graph, walked, inputs) => {
  const sameOrder = inputs.every(({ order }) => order === inputs[0]!.order);
  const values = sameOrder ? inputs : inputs.map((input) => graph.inTfjsOrder(input));
  const name = values.slice(1).reduce((sum, { name }, i) => {
    const last = i === values.length - 2;
    return graph.node('Add', last ? walked.layer.name : `${walked.layer.name}/${i}`, [sum, name]);
  }, values[0]!.name);
  return like(name, walked, values[0]!);
};

const flatten: OnnxEmitter = (graph, walked, [input]) => {
  const name = graph.node('Flatten', walked.layer.name, [input!.name], { axis: 1 });
  const order = input!.order === 'channels-first' ? (input!.shape as unknown as [number, number, number]) : 'tfjs';
  return { name, shape: outputShape(walked.output), order };
};

const dense: OnnxEmitter = (graph, walked, [given]) => {
  const { layer } = walked;
  const config = layer.getConfig() as { units: number; useBias: boolean; activation: string };
  const input = given!.order === 'channels-first' ? graph.inTfjsOrder(given!) : given!;
  const values = weightValues(layer, 'kernel');
  const rows = typeof input.order === 'string' ? values : channelsFirstRows(values, input.order, config.units);
  const kernel = graph.constant(`${layer.name}/kernel`, [values.length / config.units, config.units], rows);
  const bias = config.useBias
    ? [graph.constant(`${layer.name}/bias`, [config.units], weightValues(layer, 'bias'))]
    : [];
  let name: string;
  if (input.shape.length === 1) {
    name = graph.node('Gemm', layer.name, [input.name, kernel, ...bias]);
  } else {
    name = graph.node('MatMul', bias.length === 0 ? layer.name : `${layer.name}/product`, [input.name, kernel]);
    if (bias.length > 0) name = graph.node('Add', layer.name, [name, ...bias]);
  }
  return { name: activation(graph, walked, name, config.activation), shape: outputShape(walked.output), order: 'tfjs' };
};

/** Nothing at inference. */
const nothing: OnnxEmitter = (_graph, _walked, [input]) => input!;

/** How each kind of layer is written, by the name it is registered under with tfjs. A new kind is a line here, and its op in run.ts. */
export const onnxEmitters: Readonly<Record<string, OnnxEmitter>> = {
  HyperArcPaddedConv2D: paddedConv,
  HyperArcFusedBatchNorm: norm(['gamma', 'beta', 'running_mean', 'running_variance']),
  HyperArcPReLU: prelu,
  HyperArcActivation: activationLayer,
  HyperArcPaddedMaxPool: maxPool,
  HyperArcSqueezeExcite: squeezeExcite,
  HyperArcPatchEmbedding: patches,
  HyperArcPositionEmbedding: positions,
  HyperArcLayerNorm: layerNorm,
  HyperArcMultiHeadAttention: attention,
  HyperArcTokenDense: tokenDense,
  HyperArcSeededDropout: nothing,
  HyperArcDropPath: nothing,
  HyperArcTokenDropout: nothing,
  HyperArcTokenRestore: nothing,
  Add: add,
  BatchNormalization: norm(['gamma', 'beta', 'moving_mean', 'moving_variance']),
  Conv2D: stockConv('kernel'),
  Dense: dense,
  DepthwiseConv2D: stockConv('depthwise_kernel'),
  Dropout: nothing,
  Flatten: flatten,
  LayerNormalization: layerNorm,
  PReLU: prelu,
  ZeroPadding2D: zeroPadding,
};
