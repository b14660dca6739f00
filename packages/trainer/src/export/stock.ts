import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import { type WalkedLayer, unsupportedLayer, walkLayers, weightValues } from './walk.js';

/** Weights of a stock layer, in the order it lists them. */
type Weights = readonly { readonly values: Float32Array; readonly shape: readonly number[] }[];

interface Replacement {
  /** Joins them to the model. */
  readonly apply: (input: tfl.SymbolicTensor | tfl.SymbolicTensor[]) => tfl.SymbolicTensor;
  readonly weights: readonly (readonly [layer: tfl.layers.Layer, weights: Weights])[];
}

/** tfjs's own layers in place of one of ours; null: nothing is left at inference. */
type Replace = (walked: WalkedLayer) => Replacement | null;

const applied = (layer: tfl.layers.Layer, x: tfl.SymbolicTensor | tfl.SymbolicTensor[]): tfl.SymbolicTensor =>
  layer.apply(x) as tfl.SymbolicTensor;

/** Layers one after the other, the last with weights. */
function chain(layers: readonly tfl.layers.Layer[], weights: Weights = []): Replacement {
  return {
    apply: (input) => layers.reduce<typeof input>((x, layer) => applied(layer, x), input) as tfl.SymbolicTensor,
    weights: weights.length === 0 ? [] : [[layers.at(-1)!, weights]],
  };
}

/**
 * Groups that are neither one nor one a channel, which tfjs lacks, as a kernel of one group with zeros between the groups.
 * @param kernel [k, k, in, filters/groups] @returns [k, k, in, filters]
 */
export function ungroupKernel(
  kernel: Float32Array,
  [height, width, channels, filtersPerGroup]: readonly [number, number, number, number],
  groups: number,
): Float32Array {
  const filters = filtersPerGroup * groups;
  const result = new Float32Array(height * width * channels * filters);
  for (let row = 0; row < height * width * channels; row++) {
    const group = Math.floor(((row % channels) * groups) / channels);
    const source = kernel.subarray(row * filtersPerGroup, (row + 1) * filtersPerGroup);
    result.set(source, row * filters + group * filtersPerGroup);
  }
  return result;
}

const vectors = (layer: tfl.layers.Layer, parts: readonly string[]): Weights =>
  parts.map((part) => {
    const values = weightValues(layer, part);
    return { values, shape: [values.length] };
  });

const conv: Replace = ({ layer, inputs }) => {
  const name = layer.name;
  const { filters, kernelSize, stride, padding, groups } = layer.getConfig() as Record<string, number>;
  const channels = inputs[0]!.shape[3]!;
  const values = weightValues(layer, 'kernel');
  const pad = padding! > 0 ? [tfl.layers.zeroPadding2d({ name: `${name}/pad`, padding: padding! })] : [];
  const common = { name, kernelSize: kernelSize!, strides: stride!, useBias: false };
  const depthMultiplier = filters! / groups!;
  if (groups === channels) {
    const shape = [kernelSize!, kernelSize!, channels, depthMultiplier];
    const depthwise = tfl.layers.depthwiseConv2d({ ...common, depthMultiplier });
    return chain([...pad, depthwise], [{ values, shape }]);
  }
  const shape = [kernelSize!, kernelSize!, channels, depthMultiplier] as const;
  const weights = [
    { values: groups === 1 ? values : ungroupKernel(values, shape, groups!), shape: [...shape.slice(0, 3), filters!] },
  ];
  return chain([...pad, tfl.layers.conv2d({ ...common, filters: filters! })], weights);
};

const norm: Replace = ({ layer }) => {
  const { epsilon, momentum, affine } = layer.getConfig() as { epsilon: number; momentum: number; affine: boolean };
  const parts = [...(affine ? ['gamma', 'beta'] : []), 'running_mean', 'running_variance'];
  const stock = tfl.layers.batchNormalization({ name: layer.name, epsilon, momentum, center: affine, scale: affine });
  return chain([stock], vectors(layer, parts));
};

const layerNorm: Replace = ({ layer }) => {
  const { epsilon } = layer.getConfig() as { epsilon: number };
  return chain([tfl.layers.layerNormalization({ name: layer.name, epsilon })], vectors(layer, ['gamma', 'beta']));
};

const activation: Replace = ({ layer }) => {
  const kind = layer.getConfig()['function'] as 'relu' | 'relu6' | 'gelu';
  return chain([tfl.layers.activation({ name: layer.name, activation: kind })]);
};

const maxPool: Replace = ({ layer }) => {
  const { poolSize, stride, padding } = layer.getConfig() as { poolSize: number; stride: number; padding: number };
  const pad = padding > 0 ? [tfl.layers.zeroPadding2d({ name: `${layer.name}/pad`, padding })] : [];
  return chain([...pad, tfl.layers.maxPooling2d({ name: layer.name, poolSize, strides: stride })]);
};

const squeezeExcite: Replace = ({ layer, inputs }) => {
  const name = layer.name;
  const channels = inputs[0]!.shape[3]!;
  const hidden = channels / (layer.getConfig()['reduction'] as number);
  const [reduce, expand] = [
    tfl.layers.dense({ name: `${name}/reduce`, units: hidden, useBias: false, activation: 'relu' }),
    tfl.layers.dense({ name: `${name}/expand`, units: channels, useBias: false, activation: 'sigmoid' }),
  ];
  const mean = tfl.layers.globalAveragePooling2d({ name: `${name}/mean` });
  const gate = tfl.layers.reshape({ name: `${name}/gate`, targetShape: [1, 1, channels] });
  return {
    apply: (input) => {
      const factors = [mean, reduce, expand, gate].reduce<typeof input>((x, each) => applied(each, x), input);
      return applied(tfl.layers.multiply({ name }), [input, factors] as tfl.SymbolicTensor[]);
    },
    weights: [
      [reduce, [{ values: weightValues(layer, 'reduce'), shape: [channels, hidden] }]],
      [expand, [{ values: weightValues(layer, 'expand'), shape: [hidden, channels] }]],
    ],
  };
};

const prelu: Replace = ({ layer, inputs }) => {
  const values = weightValues(layer, 'alpha');
  const isMap = inputs[0]!.shape.length === 4;
  const stock = tfl.layers.prelu({ name: layer.name, ...(isMap && { sharedAxes: [1, 2] }) });
  return chain([stock], [{ values, shape: [...(isMap ? [1, 1] : []), values.length] }]);
};

/** Our layers by the names they are registered under; all others are tfjs's own and are kept. A new kind is a line here. */
const replacements: Readonly<Record<string, Replace>> = {
  HyperArcPaddedConv2D: conv,
  HyperArcFusedBatchNorm: norm,
  HyperArcPReLU: prelu,
  HyperArcActivation: activation,
  HyperArcPaddedMaxPool: maxPool,
  HyperArcSqueezeExcite: squeezeExcite,
  HyperArcLayerNorm: layerNorm,
  HyperArcSeededDropout: () => null,
};

/** The same layer again, for another model. */
function copyOf({ layer }: WalkedLayer): Replacement {
  type Restore = { fromConfig(cls: unknown, config: tf.serialization.ConfigDict): tfl.layers.Layer };
  const constructor = layer.constructor as unknown as Restore;
  const weights = layer.weights.map((weight) => ({
    values: weight.read().dataSync() as Float32Array,
    shape: weight.shape as number[],
  }));
  return chain([constructor.fromConfig(constructor, layer.getConfig())], weights);
}

/**
 * A model of the same embeddings from tfjs's own layers alone: plain tf.loadLayersModel reads it, without this package. Layers keep their
 * names; dropout is left out; a grouped convolution that is not depthwise becomes a plain one with zeros between the groups.
 * @throws HyperArcError E_RANGE naming a layer of ours that has no such form; E_SHAPE as {@link walkLayers}.
 */
export function toStockModel(model: tfl.LayersModel): tfl.LayersModel {
  const tensors = new Map<number, tfl.SymbolicTensor>();
  let image: tfl.SymbolicTensor | undefined;
  for (const walked of walkLayers(model)) {
    const { className, layer, inputs, output } = walked;
    if (className === 'InputLayer') {
      image = tfl.input({ shape: output.shape.slice(1), name: layer.name });
      tensors.set(output.id, image);
      continue;
    }
    const replace = replacements[className];
    if (replace === undefined && className.startsWith('HyperArc')) {
      throw unsupportedLayer(walked, "tfjs's own layers", replacements);
    }
    const replacement = replace === undefined ? copyOf(walked) : replace(walked);
    const given = inputs.map(({ id }) => tensors.get(id)!);
    const input = given.length === 1 ? given[0]! : given;
    tensors.set(output.id, replacement === null ? given[0]! : replacement.apply(input));
    for (const [stock, weights] of replacement?.weights ?? []) {
      const values = weights.map((weight) => tf.tensor(weight.values, [...weight.shape]));
      stock.setWeights(values);
      tf.dispose(values);
    }
  }
  return tfl.model({ inputs: image!, outputs: tensors.get(model.outputs[0]!.id)!, name: model.name });
}
