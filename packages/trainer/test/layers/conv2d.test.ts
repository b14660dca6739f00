import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';

import { PaddedConv2D } from '../../dist/layers/index.js';
import { backends, relativeError, useBackend, values } from './backends.js';
import { type ConvShape, groupedConv } from './reference.js';

const shapes: [string, ConvShape][] = [
  ['3×3', { batch: 2, size: 6, channels: 3, filters: 4, kernelSize: 3, stride: 1, padding: 1, groups: 1 }],
  // Even extents with stride 2 tell symmetric zeros from TensorFlow's 'same'.
  ['3×3 stride 2', { batch: 2, size: 6, channels: 3, filters: 4, kernelSize: 3, stride: 2, padding: 1, groups: 1 }],
  [
    '3×3 stride 2, odd extents',
    { batch: 2, size: 7, channels: 3, filters: 4, kernelSize: 3, stride: 2, padding: 1, groups: 1 },
  ],
  [
    '1×1 stride 2, odd extents',
    { batch: 2, size: 7, channels: 3, filters: 4, kernelSize: 1, stride: 2, padding: 0, groups: 1 },
  ],
  ['1×1 stride 2', { batch: 2, size: 6, channels: 3, filters: 4, kernelSize: 1, stride: 2, padding: 0, groups: 1 }],
  // 256 to 1024 channels: TensorFlow's own 1×1 convolution divides by zero there on some processors, and ends the process.
  [
    '1×1, many channels',
    { batch: 1, size: 2, channels: 256, filters: 1024, kernelSize: 1, stride: 1, padding: 0, groups: 1 },
  ],
  ['depthwise', { batch: 2, size: 6, channels: 5, filters: 5, kernelSize: 3, stride: 1, padding: 1, groups: 5 }],
  [
    'depthwise stride 2',
    { batch: 2, size: 6, channels: 5, filters: 5, kernelSize: 3, stride: 2, padding: 1, groups: 5 },
  ],
  ['global depthwise', { batch: 2, size: 4, channels: 5, filters: 5, kernelSize: 4, stride: 1, padding: 0, groups: 5 }],
  ['groups of 2', { batch: 2, size: 5, channels: 6, filters: 6, kernelSize: 3, stride: 1, padding: 1, groups: 3 }],
  ['groups of 2 → 4', { batch: 2, size: 5, channels: 4, filters: 8, kernelSize: 3, stride: 1, padding: 1, groups: 2 }],
];

describe.each(backends)('PaddedConv2D on %s', (backend) => {
  let trains = false;
  beforeAll(async () => {
    trains = await useBackend(backend);
  });

  it.each(shapes)('%s equals the definition', (_, shape) => {
    const { batch, size, channels, filters, kernelSize, groups } = shape;
    const layer = new PaddedConv2D(shape);
    const x = tf.variable(tf.tensor(values(batch * size * size * channels, 1), [batch, size, size, channels]));
    const outputShape = layer.computeOutputShape([batch, size, size, channels]) as number[];
    layer.build(x.shape);
    const kernel = layer.trainableWeights[0]!.read() as tf.Variable;
    expect(kernel.shape).toEqual([kernelSize, kernelSize, channels, filters / groups]);
    kernel.assign(tf.tensor(values(kernel.size, 2), kernel.shape));
    const dy = tf.tensor(
      values(
        outputShape.reduce((a, b) => a * b, 1),
        3,
      ),
      outputShape,
    );
    const expected = groupedConv(shape, x.dataSync(), kernel.dataSync(), dy.dataSync());

    const output = layer.apply(x) as tf.Tensor;
    expect(output.shape).toEqual(outputShape);
    expect(relativeError(output.dataSync(), expected.output)).toBeLessThan(1e-5);
    if (!trains) return;
    const { grads } = tf.variableGrads(() => tf.sum(tf.mul(layer.apply(x) as tf.Tensor, dy)) as tf.Scalar, [x, kernel]);
    expect(relativeError(grads[x.name]!.dataSync(), expected.dx)).toBeLessThan(1e-5);
    expect(relativeError(grads[kernel.name]!.dataSync(), expected.dKernel)).toBeLessThan(1e-5);
  });
});
