import { readFileSync } from 'node:fs';

import type * as tfl from '@tensorflow/tfjs-layers';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import { unsupportedLayer, walkLayers } from '../walk.js';
import { OnnxGraph, type OnnxValue } from './graph.js';
import { onnxEmitters } from './layers.js';
import { encodeModel, type Message, messageBytes } from './message.js';

/** Of the ONNX standard's operators; onnxruntime has taken it since 1.12. */
export const OPSET = 17;
/** The file format's version that came with opset 17. */
const IR_VERSION = 8;
/** Names of arcface_torch's torch2onnx.py for the input; its output has none of its own. */
export const ONNX_INPUT = 'data';
export const ONNX_OUTPUT = 'embedding';
/** Protobuf's own limit on a message. */
const MAX_BYTES = 2 ** 31 - 1;

const version = (): string =>
  (JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }).version;

/**
 * A backbone as an ONNX model of opset {@link OPSET}: `data` [N, 3, H, W] float32, RGB, (x − 127.5)/127.5, to `embedding` [N, D], not
 * normalised; N is open. Batch norms are in inference form, dropout is left out, the rows of the dense layer after a flattened map are in
 * ONNX's (channel, height, width) order: no transposition is left in an IResNet or MobileFaceNet.
 * @throws HyperArcError E_RANGE naming a layer that the table in layers.ts lacks; E_SHAPE as {@link walkLayers}; E_MEMORY from 2 GiB on.
 */
export function modelToOnnx(model: tfl.LayersModel): Message {
  const graph = new OnnxGraph();
  const values = new Map<number, OnnxValue>();
  const [, height, width] = model.inputs[0]!.shape as [null, number, number, number];
  for (const walked of walkLayers(model)) {
    if (walked.className === 'InputLayer') {
      values.set(walked.output.id, { name: ONNX_INPUT, shape: [height, width, 3], order: 'channels-first' });
      continue;
    }
    const emit = onnxEmitters[walked.className];
    if (emit === undefined) throw unsupportedLayer(walked, 'ONNX', onnxEmitters);
    values.set(
      walked.output.id,
      emit(
        graph,
        walked,
        walked.inputs.map(({ id }) => values.get(id)!),
      ),
    );
  }
  const output = graph.inTfjsOrder(values.get(model.outputs[0]!.id)!);
  graph.rename(output.name, ONNX_OUTPUT);
  const message = encodeModel({
    irVersion: IR_VERSION,
    opset: OPSET,
    producer: { name: 'hyperarc', version: version() },
    description: `${model.name}: face crops to embeddings`,
    metadata: { color: 'RGB', mean: '127.5', std: '127.5' },
    graphName: model.name,
    nodes: graph.nodes,
    constants: graph.constants,
    input: { name: ONNX_INPUT, shape: ['N', 3, height, width], description: 'RGB, (x − 127.5)/127.5 of 0…255' },
    outputs: [{ name: ONNX_OUTPUT, shape: ['N', output.shape[0]!], description: 'not normalised' }],
  });
  const bytes = messageBytes(message);
  if (bytes > MAX_BYTES) {
    throw new HyperArcError(
      'E_MEMORY',
      `model: expected an ONNX file below 2 GiB, protobuf's limit, received ${bytes} bytes; export to safetensors`,
    );
  }
  return message;
}
