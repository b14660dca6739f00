import '@tensorflow/tfjs-backend-cpu';
// The gradient of tf.sum.
import '@tensorflow/tfjs-layers';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { feasibleRegularizer, marginLogits, presets, type MarginSpec } from '../dist/index.js';

beforeAll(() => tf.setBackend('cpu'));

/** T/s at cosines to the own centre, and dT/dcosθ/s there, from the package's own logits. */
function targetsOf(spec: MarginSpec, cosines: number[], rows?: number[][]): { values: number[]; slopes: number[] } {
  return tf.tidy(() => {
    const labels = cosines.map(() => 0);
    const parameters = rows && tf.tensor2d(rows);
    const total = (c: tf.Tensor) => tf.sum(marginLogits(c as tf.Tensor2D, labels, spec, parameters));
    const column = tf.tensor2d(cosines, [cosines.length, 1]);
    const scaleOf = (i: number) => rows?.[i][0] ?? spec.scale;
    const values = Array.from(marginLogits(column, labels, spec, parameters).dataSync(), (v, i) => v / scaleOf(i));
    const slopes = Array.from(tf.grad(total)(column).dataSync(), (v, i) => v / scaleOf(i));
    return { values, slopes };
  });
}

/** N(c) of a negative beside a target of cosine `own`. */
function negativeOf(spec: MarginSpec, own: number, cosine: number): number {
  const logits = tf.tidy(() => marginLogits(tf.tensor2d([[own, cosine]]), [0], spec).dataSync());
  return logits[1] / spec.scale;
}

function expectNear(actual: number[], expected: number[]): void {
  actual.forEach((value, i) => expect(value, `at ${i}`).toBeCloseTo(expected[i], 4));
}

const cosines = [0.95, 0.5, -0.2, -0.9, -0.99];

describe('presets', () => {
  it.each<[keyof typeof presets, object]>([
    ['arcfaceTorch', { scale: 64, m1: 1, m2: 0.5, m3: 0, fallback: 'none', gradient: 'straight-through' }],
    ['arcfaceTorchCosface', { scale: 64, m1: 1, m2: 0, m3: 0.4 }],
    ['insightfaceMxnet', { scale: 64, m1: 1, m2: 0.5, m3: 0, fallback: 'hard', gradient: 'exact' }],
    ['insightfaceMxnetCosface', { scale: 64, m1: 1, m2: 0, m3: 0.35 }],
    ['insightfaceMxnetCombined', { scale: 64, m1: 1, m2: 0.3, m3: 0.2 }],
    ['insightfaceMxnetSphereface', { scale: 64, m1: 1.35, m2: 0, m3: 0 }],
    ['normface', { scale: 64, m1: 1, m2: 0, m3: 0 }],
    ['opensphereSphereface', { scale: 30, m1: 1.5, family: 'sphere', gradient: 'straight-through' }],
    ['mvSoftmax', { scale: 32, m3: 0.35 }],
    ['elasticfaceArc', { scale: 64, m2: 0.5, fallback: 'none', gradient: 'exact' }],
    ['elasticfaceCos', { scale: 64, m3: 0.35 }],
    ['circleSoftmax', { scale: 256, m2: 0.25, family: 'circle', gradient: 'straight-through' }],
  ])('%s has the numbers of its system', (name, numbers) => expect(presets[name]).toMatchObject(numbers));

  it('arcfaceTorch: cos(θ + 0.5) as it is, and slope 1', () => {
    const { values, slopes } = targetsOf(presets.arcfaceTorch, [-0.9, -0.99, 0.5]);
    expectNear(values, [-0.998801, -0.936438, Math.cos(Math.PI / 3 + 0.5)]);
    expectNear(slopes, [1, 1, 1]);
  });

  it('insightfaceMxnet: cosθ − 0.5·sin 0.5 where θ + 0.5 passes π, and the true slope before', () => {
    const { values, slopes } = targetsOf(presets.insightfaceMxnet, [-0.9, -0.99, 0.5]);
    expectNear(values, [-1.139713, -1.229713, Math.cos(Math.PI / 3 + 0.5)]);
    expectNear(slopes, [1, 1, Math.sin(Math.PI / 3 + 0.5) / Math.sin(Math.PI / 3)]);
  });

  it('insightfaceMxnetCombined and -Sphereface: cos(θ + 0.3) − 0.2 and cos(1.35·θ)', () => {
    const angles = [0.2, 1, 1.8];
    const of = (spec: MarginSpec) => targetsOf(spec, angles.map(Math.cos)).values;
    expectNear(
      of(presets.insightfaceMxnetCombined),
      angles.map((angle) => Math.cos(angle + 0.3) - 0.2),
    );
    expectNear(
      of(presets.insightfaceMxnetSphereface),
      angles.map((angle) => Math.cos(1.35 * angle)),
    );
  });

  it('sphereface: ψ(θ) of m = 4 by its polynomial in cosθ, annealed from λ = 1000/1.12', () => {
    const polynomial = (c: number) => {
      const k = Math.floor((4 * Math.acos(c)) / Math.PI);
      return (-1) ** k * (8 * c ** 4 - 8 * c ** 2 + 1) - 2 * k;
    };
    expectNear(targetsOf(presets.sphereface, cosines).values, cosines.map(polynomial));
    expect(presets.sphereface.adaptive).toEqual([
      { kind: 'norm-scale', lowerNorm: 1e-3, upperNorm: 1024 },
      { kind: 'annealing', base: 1000, gamma: 0.12, power: 1, minimum: 5 },
    ]);
    expect(targetsOf(presets.opensphereSphereface, cosines).slopes).toEqual(cosines.map(() => 1));
  });

  it('magface: margins 0.45 to 0.8 over norms 10 to 110, easy, λ_g = 35 above its bound 22.587', () => {
    const [magnitude] = presets.magface.adaptive!;
    expect(magnitude).toEqual({
      ...{ kind: 'magnitude', lowerNorm: 10, upperNorm: 110, lowerMargin: 0.45, upperMargin: 0.8, regularizer: 35 },
    });
    expect(feasibleRegularizer(64, magnitude as never)).toBeCloseTo(22.5867, 4);
    const { values } = targetsOf(
      presets.magface,
      cosines,
      cosines.map(() => [64, 1, 0.8, 0]),
    );
    expectNear(values, [Math.cos(Math.acos(0.95) + 0.8), Math.cos(Math.acos(0.5) + 0.8), -0.2, -0.9, -0.99]);
  });

  it('adaface: m = 0.4, h = 0.333, running statistics from 20 and 100, angles held 1e-3 from 0 and π', () => {
    expect(presets.adaface.adaptive).toEqual([
      {
        ...{ kind: 'norm-quality', margin: 0.4, concentration: 0.333, momentum: 0.01 },
        ...{ initialMean: 20, initialStddev: 100 },
      },
    ]);
    expect(presets.adaface).toMatchObject({ scale: 64, fallback: 'clip', clipRadians: 1e-3 });
    // k = −1 and 1: an angular margin of ∓0.4 and 0 or 0.8 in cosine.
    const { values } = targetsOf(
      presets.adaface,
      [-0.99, 0.99, 0.5],
      [
        [64, 1, 0.4, 0],
        [64, 1, -0.4, 0.8],
        [64, 1, 0.4, 0],
      ],
    );
    expectNear(values, [Math.cos(Math.PI - 1e-3), Math.cos(1e-3) - 0.8, Math.cos(Math.PI / 3 + 0.4)]);
  });

  it('curricularface: hard negatives c·(t + c), t from 0', () => {
    expect(presets.curricularface.adaptive).toEqual([{ kind: 'curriculum', momentum: 0.01 }]);
    // cos(acos 0.8 + 0.5) = 0.414.
    expectNear(
      [0.5, 0.4, -0.3].map((c) => negativeOf(presets.curricularface, 0.8, c)),
      [0.25, 0.4, -0.3],
    );
  });

  it('mvSoftmax: hard negatives 1.12·c + 0.12 beyond cosθ_y − 0.35', () => {
    expectNear(
      [0.5, 0.4, -0.3].map((c) => negativeOf(presets.mvSoftmax, 0.8, c)),
      [0.68, 0.4, -0.3],
    );
  });

  it('elasticface: the deviations of the authors’ configuration', () => {
    const deviations = [
      presets.elasticfaceArc,
      presets.elasticfaceCos,
      presets.elasticfaceArcPlus,
      presets.elasticfaceCosPlus,
    ];
    expect(deviations.map(({ adaptive }) => adaptive![0])).toMatchObject([
      { parameter: 'm2', stddev: 0.05, sorted: false },
      { parameter: 'm3', stddev: 0.05, sorted: false },
      { parameter: 'm2', stddev: 0.0175, sorted: true },
      { parameter: 'm3', stddev: 0.02, sorted: true },
    ]);
  });

  it('x2softmax: −0.9·θ² + 0.65, and slope 1', () => {
    const { values, slopes } = targetsOf(presets.x2softmax, cosines);
    expectNear(
      values,
      cosines.map((c) => -0.9 * Math.acos(c) ** 2 + 0.65),
    );
    expect(slopes).toEqual(cosines.map(() => 1));
  });

  it('circleSoftmax: (1.25 − c)(c − 0.75) against (c + 0.25)(c − 0.25), weights held still', () => {
    const { values, slopes } = targetsOf(presets.circleSoftmax, cosines);
    expectNear(
      values,
      cosines.map((c) => (1.25 - c) * (c - 0.75)),
    );
    expectNear(
      slopes,
      cosines.map((c) => 1.25 - c),
    );
    expectNear(
      [0.5, -0.1, -0.3].map((c) => negativeOf(presets.circleSoftmax, 0.8, c)),
      [0.75 * 0.25, 0.15 * -0.35, 0],
    );
  });
});
