import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

/** The part of an ONNX model that {@link runOnnx} needs, read back from its bytes. */
export interface ReadModel {
  readonly opset: number;
  readonly nodes: readonly ReadNode[];
  readonly constants: ReadonlyMap<string, { shape: number[]; values: Float32Array | number[] }>;
  readonly input: string;
  readonly output: string;
}

export interface ReadNode {
  readonly opType: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes: ReadonlyMap<string, number | number[]>;
}

interface Field {
  readonly field: number;
  /** A varint or fixed number, or the bytes of a string or message. */
  readonly value: number | Buffer;
}

const refuse = (what: string): never => {
  throw new HyperArcError('E_FORMAT', `ONNX model: expected a protobuf message, received ${what}`);
};

function readVarint(bytes: Buffer, start: number): [value: number, next: number] {
  let value = 0;
  for (let at = start, scale = 1; at < bytes.length && scale <= 2 ** 49; at++, scale *= 128) {
    value += (bytes[at]! & 0x7f) * scale;
    if (bytes[at]! < 0x80) return [value, at + 1];
  }
  return refuse('a number that does not end');
}

/** The fields of one message in order (protobuf.dev, "Encoding"). Only the non-negative numbers that we write are read. */
function readFields(bytes: Buffer): Field[] {
  const fields: Field[] = [];
  for (let at = 0; at < bytes.length;) {
    let key: number;
    [key, at] = readVarint(bytes, at);
    const [field, wireType] = [Math.floor(key / 8), key % 8];
    if (wireType === 0) {
      let value: number;
      [value, at] = readVarint(bytes, at);
      fields.push({ field, value });
    } else if (wireType === 2) {
      let length: number;
      [length, at] = readVarint(bytes, at);
      if (length > bytes.length - at) refuse(`${length} bytes of ${bytes.length - at}`);
      fields.push({ field, value: bytes.subarray(at, at + length) });
      at += length;
    } else if (wireType === 5) {
      if (bytes.length - at < 4) refuse('a cut number');
      fields.push({ field, value: bytes.readFloatLE(at) });
      at += 4;
    } else refuse(`wire type ${wireType}`);
  }
  return fields;
}

const all = (fields: readonly Field[], field: number): (number | Buffer)[] =>
  fields.filter((each) => each.field === field).map(({ value }) => value);
const messages = (fields: readonly Field[], field: number): Field[][] =>
  all(fields, field).map((value) => readFields(value as Buffer));
const texts = (fields: readonly Field[], field: number): string[] => all(fields, field).map(String);

function readAttribute(fields: readonly Field[]): [string, number | number[]] {
  const [INT, FLOAT] = [2, 1];
  const type = all(fields, 20)[0];
  const value = type === FLOAT ? all(fields, 2)[0] : type === INT ? all(fields, 3)[0] : all(fields, 8);
  return [texts(fields, 1)[0]!, value as number | number[]];
}

function readConstant(fields: readonly Field[]): [string, { shape: number[]; values: Float32Array | number[] }] {
  const FLOAT = 1;
  const shape = all(fields, 1) as number[];
  const raw = all(fields, 9)[0] as Buffer;
  const count = shape.reduce((product, size) => product * size, 1);
  const isFloat = all(fields, 2)[0] === FLOAT;
  const name = texts(fields, 8)[0]!;
  if (raw.length !== count * (isFloat ? 4 : 8)) refuse(`${raw.length} bytes for ${shape.join('×')} of ${name}`);
  if (isFloat) {
    const values = new Float32Array(count);
    Buffer.from(values.buffer).set(raw);
    return [name, { shape, values }];
  }
  return [name, { shape, values: Array.from({ length: count }, (_, i) => Number(raw.readBigInt64LE(8 * i))) }];
}

/**
 * Reads a model that `hyperarc export` wrote: floats and whole numbers as raw data, one input and one output. Field numbers: onnx/onnx.proto.
 * @throws HyperArcError E_FORMAT if the bytes are no such message.
 */
export function readOnnx(bytes: Buffer): ReadModel {
  const model = readFields(bytes);
  const graph = messages(model, 7)[0] ?? refuse('no graph');
  return {
    opset: all(messages(model, 8)[0] ?? refuse('no operator set'), 2)[0] as number,
    nodes: messages(graph, 1).map((node) => ({
      opType: texts(node, 4)[0]!,
      name: texts(node, 3)[0]!,
      inputs: texts(node, 1),
      output: texts(node, 2)[0]!,
      attributes: new Map(messages(node, 5).map(readAttribute)),
    })),
    constants: new Map(messages(graph, 5).map(readConstant)),
    input: texts(messages(graph, 11)[0] ?? refuse('no input'), 1)[0]!,
    output: texts(messages(graph, 12)[0] ?? refuse('no output'), 1)[0]!,
  };
}
