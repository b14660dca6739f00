import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type * as tfl from '@tensorflow/tfjs-layers';

import type { WalkedLayer } from '../walk.js';
import type { OnnxGraph, OnnxValue } from './graph.js';

/** Adds what one layer computes at inference. The nodes and constants it adds begin with the layer's name. */
export type OnnxEmitter = (graph: OnnxGraph, walked: WalkedLayer, inputs: readonly OnnxValue[]) => OnnxValue;

/** Of one image. An open number of tokens is null. */
export const outputShape = (output: tfl.SymbolicTensor): number[] => output.shape.slice(1) as number[];

/** An output of the layer's own shape that lies as the input does. */
export function like(name: string, { output }: WalkedLayer, input: OnnxValue): OnnxValue {
  return { name, shape: outputShape(output), order: input.order };
}

const ACTIVATIONS: Readonly<Record<string, readonly [opType: string, bounds?: readonly [number, number]]>> = {
  relu: ['Relu'],
  relu6: ['Clip', [0, 6]],
  sigmoid: ['Sigmoid'],
};

/** An activation by tfjs's name; `linear` adds nothing. */
export function activation(graph: OnnxGraph, { layer }: WalkedLayer, input: string, kind: unknown): string {
  if (kind === 'linear') return input;
  const [opType, bounds] = ACTIVATIONS[String(kind)] ?? [];
  if (opType === undefined) {
    throw new HyperArcError(
      'E_RANGE',
      `layer ${layer.name}: expected an activation that can be exported to ONNX (linear, ${Object.keys(ACTIVATIONS).join(', ')}), received ${String(kind)}`,
    );
  }
  const limits = (bounds ?? []).map((bound, i) =>
    graph.constant(`${layer.name}/${['min', 'max'][i]}`, [], new Float32Array([bound])),
  );
  return graph.node(opType, `${layer.name}/${String(kind)}`, [input, ...limits]);
}
