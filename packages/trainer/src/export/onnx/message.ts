import { bytesField, floatField, integerField, lengthPrefix } from '../../metrics/protobuf.js';

/** A protobuf message as pieces in order, so that a nested gigabyte of weights is never copied. */
export type Message = readonly Uint8Array[];

export function messageBytes(message: Message): number {
  return message.reduce((sum, { length }) => sum + length, 0);
}

function nested(field: number, message: Message): Message {
  return [lengthPrefix(field, messageBytes(message)), ...message];
}

/** Field numbers of onnx/onnx.proto. */
const MODEL = {
  irVersion: 1,
  producerName: 2,
  producerVersion: 3,
  docString: 6,
  graph: 7,
  opsetImport: 8,
  metadata: 14,
};
const OPSET_VERSION = 2;
const METADATA = { key: 1, value: 2 };
const GRAPH = { node: 1, name: 2, initializer: 5, input: 11, output: 12 };
const NODE = { input: 1, output: 2, name: 3, opType: 4, attribute: 5 };
const ATTRIBUTE = { name: 1, f: 2, i: 3, ints: 8, type: 20 };
const ATTRIBUTE_TYPE = { float: 1, int: 2, ints: 7 };
const TENSOR = { dims: 1, dataType: 2, name: 8, rawData: 9 };
const DATA_TYPE = { float: 1, int64: 7 };
const VALUE_INFO = { name: 1, type: 2, docString: 3 };
const TYPE_TENSOR = 1;
const TENSOR_TYPE = { elementType: 1, shape: 2 };
const SHAPE_DIM = 1;
const DIM = { value: 1, name: 2 };

/** An attribute: whole numbers (≥ 0) are ints, `{ float }` a float, lists ints. */
export type Attribute = number | { readonly float: number } | readonly number[];

export interface OnnxNode {
  readonly opType: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes: Readonly<Record<string, Attribute>>;
}

export interface OnnxConstant {
  readonly name: string;
  readonly shape: readonly number[];
  /** Written as float32, or as int64. */
  readonly values: Float32Array | BigInt64Array;
}

export interface OnnxInterface {
  readonly name: string;
  /** A name stands for a size that is left open. */
  readonly shape: readonly (number | string)[];
  readonly description: string;
}

export interface OnnxModel {
  readonly irVersion: number;
  readonly opset: number;
  readonly producer: { readonly name: string; readonly version: string };
  readonly description: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly graphName: string;
  readonly nodes: readonly OnnxNode[];
  readonly constants: readonly OnnxConstant[];
  readonly input: OnnxInterface;
  readonly outputs: readonly OnnxInterface[];
}

function attributeMessage(name: string, value: Attribute): Message {
  const named = bytesField(ATTRIBUTE.name, name);
  if (typeof value === 'number') {
    return [named, integerField(ATTRIBUTE.i, value), integerField(ATTRIBUTE.type, ATTRIBUTE_TYPE.int)];
  }
  if ('float' in value) {
    return [named, floatField(ATTRIBUTE.f, value.float), integerField(ATTRIBUTE.type, ATTRIBUTE_TYPE.float)];
  }
  const ints = value.map((item) => integerField(ATTRIBUTE.ints, item));
  return [named, ...ints, integerField(ATTRIBUTE.type, ATTRIBUTE_TYPE.ints)];
}

function nodeMessage({ opType, name, inputs, output, attributes }: OnnxNode): Message {
  return [
    ...inputs.map((input) => bytesField(NODE.input, input)),
    bytesField(NODE.output, output),
    bytesField(NODE.name, name),
    bytesField(NODE.opType, opType),
    ...Object.entries(attributes).flatMap(([key, value]) => nested(NODE.attribute, attributeMessage(key, value))),
  ];
}

function tensorMessage({ name, shape, values }: OnnxConstant): Message {
  const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return [
    ...shape.map((size) => integerField(TENSOR.dims, size)),
    integerField(TENSOR.dataType, values instanceof Float32Array ? DATA_TYPE.float : DATA_TYPE.int64),
    bytesField(TENSOR.name, name),
    lengthPrefix(TENSOR.rawData, raw.length),
    raw,
  ];
}

function interfaceMessage({ name, shape, description }: OnnxInterface): Message {
  const dims = shape.flatMap((size) =>
    nested(SHAPE_DIM, [typeof size === 'number' ? integerField(DIM.value, size) : bytesField(DIM.name, size)]),
  );
  const tensorType = [integerField(TENSOR_TYPE.elementType, DATA_TYPE.float), ...nested(TENSOR_TYPE.shape, dims)];
  return [
    bytesField(VALUE_INFO.name, name),
    ...nested(VALUE_INFO.type, nested(TYPE_TENSOR, tensorType)),
    bytesField(VALUE_INFO.docString, description),
  ];
}

/** The bytes of a ModelProto (onnx/onnx.proto), in pieces. */
export function encodeModel(model: OnnxModel): Message {
  const graph = [
    ...model.nodes.flatMap((node) => nested(GRAPH.node, nodeMessage(node))),
    bytesField(GRAPH.name, model.graphName),
    ...model.constants.flatMap((constant) => nested(GRAPH.initializer, tensorMessage(constant))),
    ...nested(GRAPH.input, interfaceMessage(model.input)),
    ...model.outputs.flatMap((output) => nested(GRAPH.output, interfaceMessage(output))),
  ];
  return [
    integerField(MODEL.irVersion, model.irVersion),
    bytesField(MODEL.producerName, model.producer.name),
    bytesField(MODEL.producerVersion, model.producer.version),
    bytesField(MODEL.docString, model.description),
    ...nested(MODEL.graph, graph),
    ...nested(MODEL.opsetImport, [integerField(OPSET_VERSION, model.opset)]),
    ...Object.entries(model.metadata).flatMap(([key, value]) =>
      nested(MODEL.metadata, [bytesField(METADATA.key, key), bytesField(METADATA.value, value)]),
    ),
  ];
}
