import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';

import { PReLU } from '../../dist/layers/index.js';
import { backends, relativeError, useBackend, values } from './backends.js';

function run(layer: tfl.layers.Layer, xData: Float32Array, dyData: Float32Array, shape: number[], alpha: Float32Array) {
  const x = tf.variable(tf.tensor(xData, shape));
  layer.build(x.shape);
  const slope = layer.trainableWeights[0]!.read() as tf.Variable;
  slope.assign(tf.tensor(alpha, slope.shape));
  let output!: tf.Tensor;
  const { grads } = tf.variableGrads(() => {
    output = tf.keep(layer.apply(x, { training: true }) as tf.Tensor);
    return tf.sum(tf.mul(output, tf.tensor(dyData, shape))) as tf.Scalar;
  }, [x, slope]);
  return { output: output.dataSync(), dx: grads[x.name]!.dataSync(), dAlpha: grads[slope.name]!.dataSync() };
}

describe.each(backends)('PReLU on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  it.each([[[3, 5, 7, 6]], [[2, 1, 3, 17]], [[9, 8]]])('equals the formula and its derivatives, %j', (shape) => {
    const channels = shape[shape.length - 1]!;
    const size = shape.reduce((a, b) => a * b, 1);
    const x = values(size, 1);
    x[0] = 0; // The kink: the slope is α there.
    x[1] = -0;
    const dy = values(size, 2);
    // Slopes beyond [0, 1] too: max(x, αx) would be wrong for them.
    const alpha = values(channels, 3).map((v) => 2 * v);
    const actual = run(new PReLU(), x, dy, shape, alpha);
    const dAlpha = new Float64Array(channels);
    x.forEach((v, i) => (dAlpha[i % channels]! += dy[i]! * Math.min(v, 0)));
    expect([...actual.output]).toEqual(
      [...x.map((v, i) => (v > 0 ? v : v * alpha[i % channels]!))].map((v) => expect.closeTo(v, 6)),
    );
    expect([...actual.dx]).toEqual(
      [...dy.map((g, i) => (x[i]! > 0 ? g : g * alpha[i % channels]!))].map((v) => expect.closeTo(v, 6)),
    );
    expect(relativeError(actual.dAlpha, dAlpha)).toBeLessThan(1e-5);
  });

  it('agrees with the stock layer', () => {
    const shape = [2, 4, 4, 5];
    const [x, dy, alpha] = [values(160, 1), values(160, 2), values(5, 3)];
    const fused = run(new PReLU(), x, dy, shape, alpha);
    const stock = run(tfl.layers.prelu({ sharedAxes: [1, 2] }), x, dy, shape, alpha);
    for (const field of ['output', 'dx', 'dAlpha'] as const) {
      expect(relativeError(fused[field], stock[field]), field).toBeLessThan(1e-5);
    }
  });

  it('passes NaN on', () => {
    const layer = new PReLU();
    expect((layer.apply(tf.tensor2d([[NaN, 1]])) as tf.Tensor).dataSync()[0]).toBeNaN();
  });
});
