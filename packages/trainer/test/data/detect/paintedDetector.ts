import { OPSET } from '../../../dist/export/onnx/export.js';
import { OnnxGraph } from '../../../dist/export/onnx/graph.js';
import { encodeModel, type OnnxInterface } from '../../../dist/export/onnx/message.js';
import { ACROSS, ALONG, CENTRED } from './paintedFaces.js';

/** A number that is linear in the mean colour, in [0, 1], of the pixels of a place. */
interface Linear {
  readonly constant: number;
  readonly red?: number;
  readonly green?: number;
  readonly blue?: number;
}

/** What each published model's input is, (pixel − mean)/deviation; stated here anew, so that the models see colours wrong if the product feeds others. */
const INPUTS = {
  scrfd: { order: ['red', 'green', 'blue'], mean: [127.5, 127.5, 127.5], deviation: 128 },
  yunet: { order: ['blue', 'green', 'red'], mean: [0, 0, 0], deviation: 1 },
  retinaface: { order: ['blue', 'green', 'red'], mean: [104, 117, 123], deviation: 1 },
} as const;
export type Kind = keyof typeof INPUTS;

export interface ModelOptions {
  /** Of the input; names where it is open. */
  readonly size?: readonly (number | string)[];
  /** Of the outputs; made up where it is left out. */
  readonly prefix?: string;
  /** Leaves SCRFD's key points out. */
  readonly withoutPoints?: boolean;
  /** Has left and right exchanged. */
  readonly mirrored?: boolean;
  /** Added to every score. */
  readonly scoreShift?: number;
  /** What its input has before the size. */
  readonly inputs?: readonly number[];
}

const scaled = ({ constant, red = 0, green = 0, blue = 0 }: Linear, by: number): Linear => ({
  constant: constant * by,
  red: red * by,
  green: green * by,
  blue: blue * by,
});

/** Landmarks less the place's top left corner, in pixels: x1, y1, … */
const landmarks = (stride: number, mirrored: boolean): Linear[] =>
  CENTRED.map(([u, v]) => [mirrored ? -u : u, v] as const).flatMap(([u, v]): Linear[] => [
    {
      constant: stride / 2 + ALONG.constant * u - ACROSS.constant * v,
      green: ALONG.green * u,
      blue: -ACROSS.blue * v,
    },
    {
      constant: stride / 2 + ACROSS.constant * u + ALONG.constant * v,
      blue: ACROSS.blue * u,
      green: ALONG.green * v,
    },
  ]);

/** Full red gives 0.91, 0.93 and 0.97 at strides 8, 16 and 32; half of it nothing. */
const score = (stride: number, less = 0): Linear => {
  const slope = 3.5 + stride / 80;
  return { constant: -0.75 * slope - less, red: slope };
};

/** Half a box's side: 60 pixels times what the face is scaled by. */
const HALF: Linear = { constant: 60 * ALONG.constant, green: 60 * ALONG.green };
const add = (a: Linear, constant: number): Linear => ({ ...a, constant: a.constant + constant });

/** What a kind's outputs at a stride are: columns of each anchor, one anchor after the other. */
function headsOf(kind: Kind, stride: number, mirrored: boolean): Record<string, Linear[][]> {
  const points = landmarks(stride, mirrored);
  if (kind === 'scrfd') {
    const box = [add(HALF, -stride / 2), add(HALF, -stride / 2), add(HALF, stride / 2), add(HALF, stride / 2)];
    const inStrides = (values: Linear[]) => values.map((value) => scaled(value, 1 / stride));
    // The second anchor is nearly as sure and has its points elsewhere: taken for the first it would be seen.
    const astray = points.map((value) => add(value, 3));
    return {
      score: [[score(stride)], [score(stride, 0.05)]],
      bbox: [inStrides(box), inStrides(box)],
      kps: [inStrides(points), inStrides(astray)],
    };
  }
  const logSide = (unit: number): Linear => ({ constant: Math.log(100 / unit) });
  if (kind === 'yunet') {
    const half: Linear = { constant: 0.5 };
    return {
      cls: [[score(stride)]],
      obj: [[score(stride, -0.02)]],
      bbox: [[half, half, logSide(stride), logSide(stride)]],
      kps: [points.map((value) => scaled(value, 1 / stride))],
    };
  }
  const priors = { 8: [16, 32], 16: [64, 128], 32: [256, 512] }[stride]!;
  const zero: Linear = { constant: 0 };
  return {
    loc: priors.map((side) => [zero, zero, scaled(logSide(side), 5), scaled(logSide(side), 5)]),
    conf: priors.map((_, i) => [scaled(score(stride, 0.05 * i), -1), score(stride, 0.05 * i)]),
    landms: priors.map((side, i) => points.map((value) => scaled(add(value, 3 * i - stride / 2), 10 / side))),
  };
}

/** A face detector of a kind that finds painted faces: its convolutions see a place's mean colour. The bytes of an ONNX file. */
export function paintedDetector(kind: Kind, options: ModelOptions = {}): Buffer {
  const {
    size = ['height', 'width'],
    prefix = '',
    withoutPoints = false,
    mirrored = false,
    scoreShift = 0,
    inputs = [1, 3],
  } = options;
  const { order, mean, deviation } = INPUTS[kind];
  const graph = new OnnxGraph();
  const outputs: OnnxInterface[] = [];
  const joined = new Map<string, string[]>();

  const head = (name: string, stride: number, anchors: readonly Linear[][]): string => {
    const isScore = anchors[0]!.length <= 2;
    const rows = anchors.flat();
    const weights = rows.flatMap((row) =>
      order.flatMap((colour) => Array<number>(stride ** 2).fill(((row[colour] ?? 0) * deviation) / 255 / stride ** 2)),
    );
    const biases = rows.map(
      (row) =>
        row.constant +
        (isScore ? scoreShift : 0) +
        order.reduce((sum, colour, i) => sum + ((row[colour] ?? 0) * mean[i]!) / 255, 0),
    );
    const kernel = graph.constant(`${name}/kernel`, [rows.length, 3, stride, stride], Float32Array.from(weights));
    const bias = graph.constant(`${name}/bias`, [rows.length], Float32Array.from(biases));
    let value = graph.node('Conv', `${name}/map`, ['image', kernel, bias], {
      kernel_shape: [stride, stride],
      strides: [stride, stride],
      pads: [0, 0, 0, 0],
      group: 1,
    });
    if (isScore && scoreShift === 0) {
      const bounds = [0, 1].map((bound) => graph.constant(`${name}/${bound}`, [], Float32Array.of(bound)));
      value = graph.node('Clip', `${name}/clip`, [value, ...bounds]);
    }
    value = graph.node('Transpose', `${name}/nhwc`, [value], { perm: [0, 2, 3, 1] });
    const columns = anchors[0]!.length;
    const last = BigInt64Array.from([-1n, BigInt(columns)]);
    const shape = kind === 'scrfd' ? last : BigInt64Array.from([1n, ...last]);
    graph.constants.push({ name: `${name}/shape`, shape: [shape.length], values: shape });
    return graph.node('Reshape', name, [value, `${name}/shape`]);
  };

  for (const stride of [8, 16, 32]) {
    for (const [part, anchors] of Object.entries(headsOf(kind, stride, mirrored))) {
      if (part === 'kps' && withoutPoints) continue;
      const name = head(`${prefix}${part}_${stride}`, stride, anchors);
      if (kind === 'retinaface') joined.set(part, [...(joined.get(part) ?? []), name]);
      else outputs.push({ name, shape: kind === 'scrfd' ? ['n', 'k'] : [1, 'n', 'k'], description: '' });
    }
  }
  for (const [part, names] of joined) {
    outputs.push({ name: graph.node('Concat', part, names, { axis: 1 }), shape: [1, 'n', 'k'], description: '' });
  }
  // InsightFace has scores, boxes and points of all strides together; ours are sorted by stride within each.
  outputs.sort((a, b) => partOf(a.name) - partOf(b.name));
  return Buffer.concat(
    encodeModel({
      irVersion: 8,
      opset: OPSET,
      producer: { name: 'test', version: '1' },
      description: '',
      metadata: {},
      graphName: kind,
      nodes: graph.nodes,
      constants: graph.constants,
      input: { name: 'image', shape: [...inputs, ...size], description: '' },
      outputs,
    }),
  );
}

const PARTS = ['score', 'cls', 'obj', 'loc', 'bbox', 'conf', 'kps', 'landms'];
const partOf = (name: string): number => PARTS.findIndex((part) => name.includes(part));
