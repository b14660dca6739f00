import { type WalkedLayer, weightValues } from '../walk.js';
import { like, type OnnxEmitter, outputShape } from './emitter.js';
import type { OnnxGraph } from './graph.js';
import { convKernel } from './kernels.js';

/** x·kernel for tokens x [N, T, in] and a kernel [in, out], plus a bias [out] where one is given. */
function product(
  graph: OnnxGraph,
  name: string,
  x: string,
  kernel: Float32Array,
  units: number,
  bias?: Float32Array,
): string {
  const weights = graph.constant(`${name}/kernel`, [kernel.length / units, units], kernel);
  if (bias === undefined) return graph.node('MatMul', name, [x, weights]);
  const plain = graph.node('MatMul', `${name}/product`, [x, weights]);
  return graph.node('Add', name, [plain, graph.constant(`${name}/bias`, [units], bias)]);
}

/** Map [N, D, h, w] of a convolution whose stride is its kernel, to tokens [N, h·w, D]. */
export const patches: OnnxEmitter = (graph, { layer, output }, inputs) => {
  const input = graph.channelsFirst(inputs[0]!);
  const { filters, patchSize } = layer.getConfig() as { filters: number; patchSize: number };
  const channels = input.shape[2]!;
  const values = convKernel(weightValues(layer, 'kernel'), [patchSize, patchSize, channels, filters], 1);
  const kernel = graph.constant(`${layer.name}/kernel`, [filters, channels, patchSize, patchSize], values);
  const bias = graph.constant(`${layer.name}/bias`, [filters], weightValues(layer, 'bias'));
  const map = graph.node('Conv', `${layer.name}/map`, [input.name, kernel, bias], {
    kernel_shape: [patchSize, patchSize],
    strides: [patchSize, patchSize],
    pads: [0, 0, 0, 0],
    group: 1,
  });
  const shape = outputShape(output);
  const sizes = graph.constant(`${layer.name}/sizes`, [3], [0, filters, shape[0]!]);
  const rows = graph.node('Reshape', `${layer.name}/rows`, [map, sizes]);
  return { name: graph.node('Transpose', layer.name, [rows], { perm: [0, 2, 1] }), shape, order: 'tfjs' };
};

export const positions: OnnxEmitter = (graph, walked, [input]) => {
  const { layer } = walked;
  const constant = graph.constant(`${layer.name}/positions`, input!.shape, weightValues(layer, 'positions'));
  return like(graph.node('Add', layer.name, [input!.name, constant]), walked, input!);
};

export const layerNorm: OnnxEmitter = (graph, walked, [given]) => {
  const { layer } = walked;
  const input = graph.inTfjsOrder(given!);
  const weights = ['gamma', 'beta'].map((part) => {
    const values = weightValues(layer, part);
    return graph.constant(`${layer.name}/${part}`, [values.length], values);
  });
  const epsilon = { float: layer.getConfig()['epsilon'] as number };
  return like(graph.node('LayerNormalization', layer.name, [input.name, ...weights], { epsilon }), walked, input);
};

export const tokenDense: OnnxEmitter = (graph, { layer, output }, [given]) => {
  const input = graph.inTfjsOrder(given!);
  const { units, useBias } = layer.getConfig() as { units: number; useBias: boolean };
  const bias = useBias ? weightValues(layer, 'bias') : undefined;
  const name = product(graph, layer.name, input.name, weightValues(layer, 'kernel'), units, bias);
  return { name, shape: outputShape(output), order: 'tfjs' };
};

/** Queries, keys or values, [N, heads, T, D/heads] (keys: the last two the other way), from a third of the columns of `qkv` [D, 3·D]. */
function split(
  graph: OnnxGraph,
  { layer }: WalkedLayer,
  x: string,
  part: 'queries' | 'keys' | 'values',
  dim: number,
): string {
  const heads = layer.getConfig()['heads'] as number;
  const first = ['queries', 'keys', 'values'].indexOf(part) * dim;
  const qkv = weightValues(layer, 'qkv');
  // 1/√d is in the queries' weights.
  const scale = part === 'queries' ? 1 / Math.sqrt(dim / heads) : 1;
  const kernel = Float32Array.from({ length: dim * dim }, (_, i) => {
    return scale * qkv[Math.floor(i / dim) * 3 * dim + first + (i % dim)]!;
  });
  const name = `${layer.name}/${part}`;
  const sizes = graph.constant(`${name}/sizes`, [4], [0, 0, heads, dim / heads]);
  const perHead = graph.node('Reshape', `${name}/heads`, [product(graph, `${name}/all`, x, kernel, dim), sizes]);
  return graph.node('Transpose', name, [perHead], { perm: part === 'keys' ? [0, 2, 3, 1] : [0, 2, 1, 3] });
}

/** softmax(Q·Kᵀ/√d)·V of each head, and the projection. */
export const attention: OnnxEmitter = (graph, walked, [input]) => {
  const { layer } = walked;
  const dim = input!.shape.at(-1)!;
  const [q, k, v] = (['queries', 'keys', 'values'] as const).map((part) =>
    split(graph, walked, input!.name, part, dim),
  );
  const scores = graph.node('MatMul', `${layer.name}/scores`, [q!, k!]);
  const shares = graph.node('Softmax', `${layer.name}/shares`, [scores], { axis: 3 });
  const mixed = graph.node('MatMul', `${layer.name}/mixed`, [shares, v!]);
  const byToken = graph.node('Transpose', `${layer.name}/by_token`, [mixed], { perm: [0, 2, 1, 3] });
  const sizes = graph.constant(`${layer.name}/sizes`, [3], [0, 0, dim]);
  const joined = graph.node('Reshape', `${layer.name}/joined`, [byToken, sizes]);
  const [projection, bias] = [weightValues(layer, 'projection'), weightValues(layer, 'bias')];
  return like(product(graph, layer.name, joined, projection, dim, bias), walked, input!);
};
