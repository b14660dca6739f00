import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  adaCos,
  adaFace,
  arcFace,
  classVariant,
  combinedMargin,
  cosFace,
  elasticFace,
  groupMargin,
  magFace,
  MarginHead,
  mvSoftmax,
  normFace,
  presets,
  sphereFace,
  withInterClassFilter,
  type MarginSpec,
} from '../dist/index.js';
import { batchOf, expectClose, headCases, SHAPE, type TrainedHead } from './adaptive-cases.js';
import { engineHead, tfjsHead } from './adaptive-heads.js';

beforeAll(() => tf.setBackend('cpu'));

const specs: Record<string, MarginSpec> = {
  ...presets,
  ...Object.fromEntries(Object.entries(headCases).map(([name, { spec }]) => [name, spec])),
  'magFace, filtered': withInterClassFilter(magFace()),
  'combined, blended': { ...combinedMargin({ m1: 1.2 }), blend: 0.4 },
};

describe.each(Object.entries(specs))('%s', (_, spec) => {
  it.each([1, 3])('is one head on the engine and on tfjs, K = %i', (subCenters) => {
    const [engine, tfjs] = [engineHead(spec, subCenters), tfjsHead(spec, subCenters)];
    const centers = engine.centers();
    expect(tfjs.centers()).toEqual(centers);
    const perClass = Array.from({ length: SHAPE.classes }, (_, c) => [centers[c * subCenters]]);
    for (let t = 0; t < 4; t++) {
      const { embeddings, labels } = batchOf(t, perClass);
      const x = tf.tensor2d(embeddings);
      const [a, b] = [engine.step(x, labels, 0.05), tfjs.step(x, labels, 0.05)];
      x.dispose();
      expect(Math.abs(a.loss - b.loss) / Math.max(1, b.loss)).toBeLessThan(2e-5);
      expectClose(a.embeddingGradient, b.embeddingGradient, 1e-3);
      expectClose(engine.centers(), tfjs.centers(), 1e-4);
    }
    engine.dispose();
    tfjs.dispose();
  });
});

/** Losses of three steps. */
function losses(head: TrainedHead): number[] {
  const perClass = head.centers().map((row) => [row]);
  const values = [0, 1, 2].map((t) => {
    const { embeddings, labels } = batchOf(t, perClass);
    const x = tf.tensor2d(embeddings);
    const { loss } = head.step(x, labels, 0.05);
    x.dispose();
    return loss;
  });
  head.dispose();
  return values;
}

describe('limits', () => {
  const { classes } = SHAPE;
  const groups = Array<number>(classes).fill(0);
  const counts = Array<number>(classes).fill(7);
  it.each<[string, MarginSpec, MarginSpec]>([
    [
      'MagFace of one margin and no penalty is ArcFace',
      magFace({ lowerMargin: 0.5, upperMargin: 0.5, regularizer: 0, fallback: 'hard' }),
      arcFace(),
    ],
    ['AdaFace with h = 0 is CosFace', adaFace({ concentration: 0, fallback: 'none' }), cosFace({ margin: 0.4 })],
    ['AdaFace with m = 0 is NormFace', adaFace({ margin: 0, fallback: 'none' }), normFace()],
    ['ElasticFace without spread is ArcFace', elasticFace({ stddev: 0 }), arcFace()],
    ['ElasticFace+ without spread is CosFace', elasticFace({ base: 'cos', stddev: 0, plus: true }), cosFace()],
    ['MV-Softmax with t = 1 is CosFace', mvSoftmax({ t: 1, scale: 64 }), cosFace()],
    ['SphereFace with m = 1 is NormFace', sphereFace({ margin: 1, scale: 64, annealing: false }), normFace()],
    ['SphereFace of endless λ is NormFace', sphereFace({ scale: 64, annealing: { minimum: 1e9 } }), normFace()],
    ['class-variant margins of equal classes are CosFace', classVariant({ counts, margin: 0.35 }), cosFace()],
    ['one group is ArcFace', groupMargin({ groups, margins: [0.5] }), arcFace()],
    ['a filter that filters nothing is ArcFace', withInterClassFilter(arcFace(), { threshold: 1 }), arcFace()],
    [
      'AdaCos fixed is NormFace of its scale',
      adaCos({ classes, dynamic: false }),
      normFace({ scale: Math.SQRT2 * Math.log(classes - 1) }),
    ],
  ])('%s', (_, spec, limit) => {
    for (const makeHead of [engineHead, tfjsHead]) {
      const [actual, expected] = [losses(makeHead(spec, 1)), losses(makeHead(limit, 1))];
      actual.forEach((loss, t) => expect(Math.abs(loss - expected[t]) / Math.max(1, expected[t])).toBeLessThan(1e-6));
    }
  });

  it('AdaCos of one class has no negatives: loss 0, and its scale stays', () => {
    const margin = adaCos({ classes: 10 });
    const head = new MarginHead({ classes: 1, dim: 4, margin });
    const loss = tf.tidy(() => head.loss(tf.ones([2, 4]), [0, 0]).dataSync()[0]);
    expect(loss).toBe(0);
    expect(head.state().adaptations[0]['scale']).toBe(margin.scale);
    head.dispose();
  });
});
