import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
// Registers the gradients of tfjs's ops.
import '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';

import { registerWasmKernels } from '../../dist/ops/index.js';

beforeAll(async () => {
  await tf.setBackend('wasm');
  registerWasmKernels();
  registerWasmKernels(); // May be called again.
});

/** Deterministic values in [-1, 1). */
function values(count: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Runs a kernel on a backend with fresh tensors; returns its shape and values. */
async function run(
  backend: string,
  kernel: string,
  inputs: Record<string, { shape: number[]; values: Float32Array | Int32Array }>,
  attributes: object,
): Promise<{ shape: number[]; values: Float32Array }> {
  await tf.setBackend(backend);
  return tf.tidy(() => {
    const tensors = Object.fromEntries(
      Object.entries(inputs).map(([name, input]) => [
        name,
        tf.tensor(input.values, input.shape, input.values instanceof Int32Array ? 'int32' : 'float32'),
      ]),
    );
    const output = tf.engine().runKernel(kernel, tensors, attributes as tf.NamedAttrMap) as tf.Tensor;
    return { shape: output.shape, values: output.dataSync<'float32'>().slice() };
  });
}

type Result = Awaited<ReturnType<typeof run>>;

function expectClose(actual: Result, expected: Result): void {
  expect(actual.shape).toEqual(expected.shape);
  expect(actual.values.length).toBe(expected.values.length);
  const largest = expected.values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const worst = actual.values.reduce((most, value, i) => Math.max(most, Math.abs(value - expected.values[i]!)), 0);
  expect(largest).toBeGreaterThan(0);
  expect(worst).toBeLessThanOrEqual(2e-6 * largest);
}

async function expectSame(kernel: string, inputs: Parameters<typeof run>[2], attributes: object): Promise<void> {
  expectClose(await run('wasm', kernel, inputs, attributes), await run('cpu', kernel, inputs, attributes));
}

interface Geometry {
  input: [number, number, number, number];
  filter: [number, number, number, number];
  strides: [number, number];
  pad: 'same' | 'valid' | number | tf.backend_util.ExplicitPadding;
  dilations?: [number, number];
}

const explicit: tf.backend_util.ExplicitPadding = [
  [0, 0],
  [1, 0],
  [2, 1],
  [0, 0],
];
// Channels around the vector widths (4, 8, 16) and tile heights; more positions than one block (256).
const convolutions: Geometry[] = [
  { input: [1, 1, 1, 1], filter: [1, 1, 1, 1], strides: [1, 1], pad: 'valid' },
  { input: [2, 7, 5, 3], filter: [3, 3, 3, 16], strides: [1, 1], pad: 'same' },
  { input: [2, 8, 8, 16], filter: [3, 3, 16, 33], strides: [2, 2], pad: 'same' },
  { input: [3, 9, 7, 5], filter: [3, 2, 5, 7], strides: [2, 1], pad: 'valid' },
  { input: [1, 20, 20, 4], filter: [3, 3, 4, 9], strides: [1, 1], pad: 1 },
  { input: [2, 6, 9, 67], filter: [1, 1, 67, 31], strides: [1, 1], pad: 'valid' },
  { input: [2, 6, 9, 7], filter: [1, 1, 7, 32], strides: [2, 2], pad: 'valid' },
  { input: [2, 6, 9, 8], filter: [3, 4, 8, 12], strides: [1, 2], pad: explicit },
  { input: [2, 11, 9, 6], filter: [3, 2, 6, 17], strides: [1, 1], pad: 'valid', dilations: [2, 3] },
  { input: [1, 3, 3, 2], filter: [5, 5, 2, 3], strides: [1, 1], pad: 'same' },
];

const name = (g: Geometry) =>
  `input ${g.input.join('×')}, filter ${g.filter.join('×')}, strides ${g.strides.join('×')}, pad ${String(g.pad)}, ` +
  `dilations ${String(g.dilations ?? 1)}`;

function outputShape(g: Geometry, depthwise: boolean): [number, number, number, number] {
  const { input, filter, strides, dilations = 1, pad } = g;
  return tf.backend_util.computeConv2DInfo(input, filter, strides, dilations, pad, undefined, depthwise).outShape;
}
const size = (shape: number[]) => shape.reduce((product, side) => product * side, 1);
const filled = (shape: number[], seed: number) => ({ shape, values: values(size(shape), seed) });

/** A dilated filter as an undilated one, with zeros between its taps: tfjs's cpu kernels ignore dilations. */
function spread(filter: Result, [dh, dw]: [number, number]): Result {
  const [height, width, inputs, outputs] = filter.shape as [number, number, number, number];
  const shape = [(height - 1) * dh + 1, (width - 1) * dw + 1, inputs, outputs];
  const result = new Float32Array(size(shape));
  const tap = inputs * outputs;
  for (let h = 0; h < height; ++h) {
    for (let w = 0; w < width; ++w) {
      const from = (h * width + w) * tap;
      result.set(filter.values.subarray(from, from + tap), (h * dh * shape[1]! + w * dw) * tap);
    }
  }
  return { shape, values: result };
}

/** The taps of a dilated filter's gradient, out of the gradient of its spread form. */
async function gather(gradient: Result, [dh, dw]: [number, number]): Promise<Result> {
  await tf.setBackend('cpu');
  return tf.tidy(() => {
    const whole = tf.tensor4d(gradient.values, gradient.shape as [number, number, number, number]);
    const taps = tf.stridedSlice(whole, [0, 0, 0, 0], gradient.shape, [dh, dw, 1, 1]);
    return { shape: taps.shape, values: taps.dataSync<'float32'>() };
  });
}

/** Checks a convolution's gradients, and a full one's output, against the cpu backend. */
async function checkGradients(geometry: Geometry, kernels: { filter: string; input: string }, depthwise: boolean) {
  const { input, filter, strides, pad, dilations = [1, 1] } = geometry;
  const x = filled(input, 1);
  const dy = filled(outputShape(geometry, depthwise), 2);
  const weights = filled(filter, 3);
  const attributes = { strides, pad, dilations, dataFormat: 'NHWC', dimRoundingMode: undefined };
  const undilated = { ...attributes, dilations: [1, 1] };

  const wide = spread(weights, dilations);
  const wideGradient = await run('cpu', kernels.filter, { x, dy }, { ...undilated, filterShape: wide.shape });
  const filterGradient = await run('wasm', kernels.filter, { x, dy }, { ...attributes, filterShape: filter });
  expectClose(filterGradient, await gather(wideGradient, dilations));

  if (!depthwise) await expectSame(tf.Conv2D, { x, filter: weights }, attributes);
  const inputGradient = await run('wasm', kernels.input, { dy, filter: weights }, { ...attributes, inputShape: input });
  const expected = await run('cpu', kernels.input, { dy, filter: wide }, { ...undilated, inputShape: input });
  expectClose(inputGradient, expected);
}

describe('Conv2D and its gradients on wasm equal those of the cpu backend', () => {
  it.each(convolutions.map((geometry) => [name(geometry), geometry] as const))('%s', async (_, geometry) => {
    await checkGradients(geometry, { filter: tf.Conv2DBackpropFilter, input: tf.Conv2DBackpropInput }, false);
  });

  it('reads and writes NHWC only, and says so', async () => {
    const inputs = { x: filled([1, 3, 4, 4], 1), dy: filled([1, 2, 4, 4], 2) };
    const attributes = { strides: 1, pad: 'same', dataFormat: 'NCHW', filterShape: [1, 1, 3, 2] };
    await expect(run('wasm', tf.Conv2DBackpropFilter, inputs, attributes)).rejects.toMatchObject({ code: 'E_SHAPE' });
  });
});

const depthwise: Geometry[] = [
  { input: [1, 1, 1, 1], filter: [1, 1, 1, 1], strides: [1, 1], pad: 'valid' },
  { input: [2, 9, 7, 16], filter: [3, 3, 16, 1], strides: [1, 1], pad: 'same' },
  { input: [2, 8, 8, 19], filter: [3, 3, 19, 1], strides: [2, 2], pad: 'same' },
  { input: [2, 7, 7, 5], filter: [7, 7, 5, 1], strides: [1, 1], pad: 'valid' },
  { input: [1, 20, 19, 3], filter: [3, 2, 3, 4], strides: [1, 1], pad: 1 },
  { input: [2, 9, 9, 8], filter: [3, 3, 8, 2], strides: [1, 1], pad: 'same', dilations: [2, 2] },
];

describe('DepthwiseConv2dNative gradients on wasm equal those of the cpu backend', () => {
  const kernels = { filter: tf.DepthwiseConv2dNativeBackpropFilter, input: tf.DepthwiseConv2dNativeBackpropInput };
  it.each(depthwise.map((geometry) => [name(geometry), geometry] as const))('%s', async (_, geometry) => {
    await checkGradients(geometry, kernels, true);
  });
});

describe('UnsortedSegmentSum on wasm', () => {
  it('equals the cpu backend, with repeated, unused and negative ids', async () => {
    const segmentIds = { shape: [6], values: new Int32Array([3, 0, 3, -1, 4, 0]) };
    await expectSame(tf.UnsortedSegmentSum, { x: filled([6, 5, 3], 1), segmentIds }, { numSegments: 6 });
    await expectSame(tf.UnsortedSegmentSum, { x: filled([6], 1), segmentIds }, { numSegments: 5 });
  });

  it('refuses an id that is no segment', async () => {
    const inputs = { x: filled([2, 2], 1), segmentIds: { shape: [2], values: new Int32Array([0, 4]) } };
    await expect(run('wasm', tf.UnsortedSegmentSum, inputs, { numSegments: 4 })).rejects.toThrow(/segmentIds\[1\].*4/);
  });

  it('makes gather differentiable', async () => {
    await tf.setBackend('wasm');
    const x = tf.tensor2d(values(12, 5), [4, 3]);
    const gradient = tf.grad((t) => tf.sum(tf.mul(tf.gather(t, [1, 1, 3]), 2)))(x);
    expect([...gradient.dataSync()]).toEqual([0, 0, 0, 4, 4, 4, 0, 0, 0, 2, 2, 2]);
    tf.dispose([x, gradient]);
  });
});

/** Losses of a few SGD steps of a small network with the layers that face models have. */
async function trainSmallNetwork(backend: string): Promise<number[]> {
  await tf.setBackend(backend);
  const variable = (shape: number[], seed: number, scale: number) =>
    tf.tidy(() => tf.variable(tf.mul(tf.tensor(values(size(shape), seed), shape), scale)));
  const conv = variable([3, 3, 3, 8], 1, 0.3);
  const depthwiseFilter = variable([3, 3, 8, 1], 2, 0.3);
  const point = variable([1, 1, 8, 12], 3, 0.3);
  const [slope, gamma] = tf.tidy(() => [tf.variable(tf.fill([8], 0.25)), tf.variable(tf.ones([8]))]) as [
    tf.Variable,
    tf.Variable,
  ];
  const dense = variable([3 * 3 * 12, 4], 4, 0.2);
  const variables = [conv, depthwiseFilter, point, slope, gamma, dense];
  const images = tf.tensor4d(values(6 * 12 * 12 * 3, 7), [6, 12, 12, 3]);
  const labels = tf.tidy(() => tf.cast(tf.oneHot(tf.tensor1d([0, 1, 2, 3, 0, 1], 'int32'), 4), 'float32'));
  const loss = () => {
    let x = tf.conv2d(
      tf.pad(images, [
        [0, 0],
        [1, 1],
        [1, 1],
        [0, 0],
      ]),
      conv as tf.Tensor as tf.Tensor4D,
      2,
      'valid',
    ) as tf.Tensor4D;
    const { mean, variance } = tf.moments(x, [0, 1, 2]);
    x = tf.mul(tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5))), gamma);
    x = tf.prelu(x, slope as tf.Tensor as tf.Tensor4D);
    x = tf.depthwiseConv2d<tf.Tensor4D>(x, depthwiseFilter as tf.Tensor as tf.Tensor4D, 2, 'same');
    x = tf.relu6(tf.conv2d(x, point as tf.Tensor as tf.Tensor4D, 1, 'valid'));
    const logits = tf.matMul(tf.reshape(x, [6, -1]), dense as tf.Tensor as tf.Tensor2D);
    return tf.neg(tf.mean(tf.sum(tf.mul(labels, tf.logSoftmax(logits)), 1))) as tf.Scalar;
  };
  const losses: number[] = [];
  for (let step = 0; step < 5; ++step) {
    const { value, grads } = tf.variableGrads(loss, variables);
    losses.push(value.dataSync()[0]!);
    for (const each of variables) {
      tf.tidy(() => each.assign(tf.sub(each, tf.mul(grads[each.name]!, 0.5))));
    }
    tf.dispose([value, grads]);
  }
  tf.dispose([...variables, images, labels]);
  return losses;
}

describe('training on wasm', () => {
  it('goes through the same losses as on the cpu backend, and leaks no tensor', async () => {
    const expected = await trainSmallNetwork('cpu');
    const before = tf.memory().numTensors;
    const actual = await trainSmallNetwork('wasm');
    expect(tf.memory().numTensors).toBe(before);
    expect(expected[4]!).toBeLessThan(0.8 * expected[0]!);
    actual.forEach((loss, step) => expect(Math.abs(loss / expected[step]! - 1)).toBeLessThan(1e-4));
  });
});
