import type { Attribute, OnnxConstant, OnnxNode } from './message.js';

/**
 * A value of the tfjs model and how its elements lie in ONNX. Images and feature maps, [H, W, C] in tfjs, are [N, C, H, W] here; what
 * was flattened from one keeps that order and remembers the map's shape, so that a dense layer can reorder its rows instead.
 */
export interface OnnxValue {
  readonly name: string;
  /** In tfjs, without the batch. */
  readonly shape: readonly number[];
  /** `tfjs`: as in tfjs. `channels-first`: [C, H, W] of a [H, W, C]. A shape [H, W, C]: flattened from [C, H, W]. */
  readonly order: 'tfjs' | 'channels-first' | readonly [number, number, number];
}

/** Nodes and constants of an ONNX graph, in order. */
export class OnnxGraph {
  readonly nodes: OnnxNode[] = [];
  readonly constants: OnnxConstant[] = [];
  /** Values that were reordered already, by the name of what they were made from: nodes have a name once. */
  private readonly reordered = new Map<string, OnnxValue>();

  /** Adds a node; its output has its name. */
  node(
    opType: string,
    name: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): string {
    this.nodes.push({ opType, name, inputs, output: name, attributes });
    return name;
  }

  constant(name: string, shape: readonly number[], values: Float32Array | readonly number[]): string {
    const typed = values instanceof Float32Array ? values : BigInt64Array.from(values, BigInt);
    this.constants.push({ name, shape, values: typed });
    return name;
  }

  /** The same value with its elements in tfjs's order. */
  inTfjsOrder(value: OnnxValue): OnnxValue {
    return value.order === 'tfjs' ? value : this.reorder(value, 'tfjs');
  }

  /** A feature map [H, W, C] with its elements in ONNX's order. */
  channelsFirst(value: OnnxValue): OnnxValue {
    return value.order === 'channels-first' ? value : this.reorder(value, 'channels-first');
  }

  private reorder(value: OnnxValue, order: 'tfjs' | 'channels-first'): OnnxValue {
    const known = this.reordered.get(value.name);
    if (known !== undefined) return known;
    const result = { name: this.transposed(value, order), shape: value.shape, order };
    this.reordered.set(value.name, result);
    return result;
  }

  /** @returns the name of the reordered value. */
  private transposed({ name, order }: OnnxValue, to: 'tfjs' | 'channels-first'): string {
    if (to === 'channels-first') return this.node('Transpose', `${name}/nchw`, [name], { perm: [0, 3, 1, 2] });
    if (typeof order === 'string') return this.node('Transpose', `${name}/nhwc`, [name], { perm: [0, 2, 3, 1] });
    const [height, width, channels] = order;
    const sizes = this.constant(`${name}/map_shape`, [4], [0, channels, height, width]);
    const map = this.node('Reshape', `${name}/map`, [name, sizes]);
    const nhwc = this.node('Transpose', `${name}/nhwc`, [map], { perm: [0, 2, 3, 1] });
    return this.node('Flatten', `${name}/hwc`, [nhwc], { axis: 1 });
  }

  /** Gives a value another name, in the nodes that make and read it. */
  rename(from: string, to: string): void {
    const renamed = (name: string): string => (name === from ? to : name);
    this.nodes.forEach((node, i) => {
      this.nodes[i] = { ...node, inputs: node.inputs.map(renamed), output: renamed(node.output) };
    });
  }
}
