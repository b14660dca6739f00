import { weightValues } from '../walk.js';
import { activation, like, type OnnxEmitter, outputShape } from './emitter.js';
import { convKernel } from './kernels.js';

/** relu, relu6, gelu. */
export const activationLayer: OnnxEmitter = (graph, walked, [input]) => {
  const { layer } = walked;
  const kind = layer.getConfig()['function'];
  if (kind !== 'gelu') return like(activation(graph, walked, input!.name, kind), walked, input!);
  // x·Φ(x), by the error function: opset 17 has no operator for it.
  const number = (part: string, value: number): string =>
    graph.constant(`${layer.name}/${part}`, [], new Float32Array([value]));
  const scaled = graph.node('Mul', `${layer.name}/scaled`, [input!.name, number('sqrt_half', Math.SQRT1_2)]);
  const erf = graph.node('Erf', `${layer.name}/erf`, [scaled]);
  const shifted = graph.node('Add', `${layer.name}/shifted`, [erf, number('one', 1)]);
  const half = graph.node('Mul', `${layer.name}/half`, [input!.name, number('half_factor', 0.5)]);
  return like(graph.node('Mul', layer.name, [half, shifted]), walked, input!);
};

/** Pads with zeros, as our layer does, and not as ONNX's pooling, which leaves the padding out. */
export const maxPool: OnnxEmitter = (graph, walked, inputs) => {
  const { layer, output } = walked;
  const input = graph.channelsFirst(inputs[0]!);
  const { poolSize, stride, padding } = layer.getConfig() as { poolSize: number; stride: number; padding: number };
  let name = input.name;
  if (padding > 0) {
    const pads = graph.constant(`${layer.name}/pads`, [8], [0, 0, padding, padding, 0, 0, padding, padding]);
    name = graph.node('Pad', `${layer.name}/pad`, [name, pads]);
  }
  name = graph.node('MaxPool', layer.name, [name], { kernel_shape: [poolSize, poolSize], strides: [stride, stride] });
  return { name, shape: outputShape(output), order: 'channels-first' };
};

export const squeezeExcite: OnnxEmitter = (graph, walked, inputs) => {
  const { layer } = walked;
  const input = graph.channelsFirst(inputs[0]!);
  const channels = input.shape[2]!;
  const hidden = channels / (layer.getConfig()['reduction'] as number);
  const product = (part: string, x: string, from: number, to: number): string => {
    const values = convKernel(weightValues(layer, part), [1, 1, from, to], 1);
    const kernel = graph.constant(`${layer.name}/${part}_kernel`, [to, from, 1, 1], values);
    return graph.node('Conv', `${layer.name}/${part}`, [x, kernel], {
      kernel_shape: [1, 1],
      strides: [1, 1],
      pads: [0, 0, 0, 0],
      group: 1,
    });
  };
  const mean = graph.node('GlobalAveragePool', `${layer.name}/mean`, [input.name]);
  const reduced = graph.node('Relu', `${layer.name}/relu`, [product('reduce', mean, channels, hidden)]);
  const gate = graph.node('Sigmoid', `${layer.name}/gate`, [product('expand', reduced, hidden, channels)]);
  return like(graph.node('Mul', layer.name, [input.name, gate]), walked, input);
};
