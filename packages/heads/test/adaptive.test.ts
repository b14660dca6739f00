import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  adaCos,
  adaFace,
  arcFace,
  classVariant,
  curricularFace,
  elasticFace,
  magFace,
  MarginAdapter,
  needsNorms,
  presets,
  sphereFace,
  type MarginSpec,
  type TrainingBatch,
} from '../dist/index.js';
import { elasticNormals } from './published-heads.js';
import { expectCode, maxDifference } from './support.js';

beforeAll(() => tf.setBackend('cpu'));
// What a test makes of tensors goes with it.
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

/** Four samples of norms 5, 20, 60 and 120, in one direction each. */
function makeBatch(targetCosines = [0.9, 0.1, 0.5, -0.4]): TrainingBatch & { embeddings: tf.Tensor2D } {
  const rows = [5, 20, 60, 120].map((length, i) => [0, 1, 2, 3].map((d) => (d === i ? length : 0)));
  return {
    embeddings: tf.tensor2d(rows),
    labels: Int32Array.of(0, 1, 2, 0),
    targetCosines: () => targetCosines,
    negativeLogSums: () => [1, 2, 3, 4],
  };
}

const columnsOf = (rows: tf.Tensor2D | undefined) => tf.transpose(rows!).arraySync() as number[][];

describe('MarginAdapter', () => {
  it('leaves a margin without adaptations as it is', () => {
    const adapter = new MarginAdapter(arcFace(), 3);
    expect(adapter.isAdaptive).toBe(false);
    const { rule, rowParameters, penalty } = adapter.prepare(makeBatch());
    expect([rule, rowParameters, penalty]).toEqual([arcFace(), undefined, undefined]);
    expect(adapter.state()).toEqual({ head: 'arcface', adaptations: [] });
  });

  it('takes a batch in when it is committed, not before, and never in evaluation', () => {
    for (const spec of [adaFace(), curricularFace(), elasticFace(), adaCos({ classes: 3 }), sphereFace()]) {
      const adapter = new MarginAdapter(spec, 3);
      const before = JSON.stringify(adapter.state());
      adapter.evaluate(makeBatch());
      const prepared = adapter.prepare(makeBatch());
      expect(JSON.stringify(adapter.state())).toBe(before);
      prepared.commit();
      const after = JSON.stringify(adapter.state());
      expect(after, spec.name).not.toBe(before);
      adapter.evaluate(makeBatch());
      expect(JSON.stringify(adapter.state())).toBe(after);
    }
  });

  it('goes on from a state that went through JSON as if it had not stopped', () => {
    for (const spec of [
      adaFace(),
      curricularFace(),
      elasticFace({ plus: true }),
      adaCos({ classes: 3 }),
      sphereFace(),
    ]) {
      const [whole, stopped] = [new MarginAdapter(spec, 3), new MarginAdapter(spec, 3)];
      for (const adapter of [whole, stopped]) for (let t = 0; t < 2; t++) adapter.prepare(makeBatch()).commit();
      const resumed = new MarginAdapter(spec, 3);
      resumed.loadState(JSON.parse(JSON.stringify(stopped.state())) as ReturnType<MarginAdapter['state']>);
      const [a, b] = [whole.prepare(makeBatch()), resumed.prepare(makeBatch())];
      expect(b.rule).toEqual(a.rule);
      expect(b.rowParameters?.arraySync()).toEqual(a.rowParameters?.arraySync());
    }
  });

  it('refuses the state of another head, and what is none', () => {
    const adapter = new MarginAdapter(adaFace(), 3);
    const own = adapter.state();
    const refuse = (state: unknown, text: string) =>
      expectCode(() => adapter.loadState(state as never), 'E_FORMAT', text);
    refuse(
      new MarginAdapter(curricularFace(), 3).state(),
      "state.margin.head: expected that of this head, 'adaface', received 'curricularface'",
    );
    refuse({ ...own, adaptations: [] }, 'state.margin.adaptations: expected an array of 1, received 0');
    refuse({ ...own, adaptations: [{ kind: 'curriculum', t: 0 }] }, "adaptations[0].kind: expected 'norm-quality'");
    refuse({ ...own, adaptations: [{ ...own.adaptations[0], mean: NaN }] }, 'adaptations[0].mean: expected a number');
    refuse({ ...own, adaptations: [{ ...own.adaptations[0], stddev: -1 }] }, 'adaptations[0].stddev');
    refuse({ ...own, adaptations: [null] }, 'adaptations[0]: expected an object');
    refuse(null, 'state.margin: expected an object');
    expect(adapter.state()).toEqual(own);
    const steps = new MarginAdapter(elasticFace(), 3);
    expectCode(
      () => steps.loadState({ head: 'elasticface', adaptations: [{ kind: 'random-margin', step: 0.5 }] }),
      'E_FORMAT',
      'step: expected an integer',
    );
  });

  it('says which margins look at norms, and asks for them', () => {
    const looking = Object.entries(presets).filter(([, spec]) => needsNorms(spec));
    expect(looking.map(([name]) => name)).toEqual(['sphereface', 'magface', 'adaface']);
    const { embeddings, ...without } = makeBatch();
    for (const spec of [magFace(), adaFace(), sphereFace()]) {
      const adapter = new MarginAdapter(spec, 3);
      expectCode(() => adapter.prepare(without), 'E_RANGE', 'norms: expected embeddings or their norms');
      const norms = tf.norm(embeddings, 2, 1, true) as tf.Tensor2D;
      const byNorms = columnsOf(adapter.prepare({ ...without, norms }).rowParameters);
      const byEmbeddings = columnsOf(adapter.prepare({ ...without, embeddings }).rowParameters);
      expect(maxDifference(byNorms.flat(), byEmbeddings.flat())).toBeLessThan(1e-5);
    }
    expect(new MarginAdapter(elasticFace(), 3).prepare(without).rowParameters?.shape).toEqual([4, 4]);
  });

  it('refuses to learn from embeddings or cosines that are not finite', () => {
    const learning = [curricularFace(), adaCos({ classes: 3 }), elasticFace({ plus: true })];
    const followingNorms = [adaFace(), magFace(), sphereFace()];
    for (const wrong of [NaN, Infinity]) {
      const batch = makeBatch([0, wrong, 0, 0]);
      const rows = batch.embeddings.arraySync() as number[][];
      rows[1][2] = wrong;
      const bad = { ...batch, embeddings: tf.tensor2d(rows) };
      const expected = 'embeddings: expected finite numbers, received';
      for (const spec of learning) {
        const adapter = new MarginAdapter(spec, 3);
        expectCode(() => adapter.prepare(bad), 'E_NONFINITE', `${expected} ${wrong} from row 1`);
      }
      for (const spec of followingNorms) {
        const adapter = new MarginAdapter(spec, 3);
        expectCode(() => adapter.prepare(bad), 'E_NONFINITE', `${expected} NaN from row 1`);
        expectCode(() => adapter.evaluate(bad), 'E_NONFINITE', `${expected} NaN from row 1`);
      }
    }
  });

  it('wants class margins for every class of the head', () => {
    const spec = classVariant({ counts: [1, 2, 3] });
    expectCode(
      () => new MarginAdapter(spec, 4),
      'E_SHAPE',
      "expected one for each of the head's 4 classes, received 3",
    );
  });
});

describe('MagFace', () => {
  it('has its published margins at norms 10, 60 and 110, and holds them beyond', () => {
    const adapter = new MarginAdapter(magFace(), 3);
    const norms = tf.tensor2d([0, 10, 60, 110, 1e30], [5, 1]);
    const { rowParameters } = adapter.evaluate({ norms, labels: new Int32Array(5) });
    const [scales, m1, m2, m3] = columnsOf(rowParameters);
    [0.45, 0.45, 0.625, 0.8, 0.8].forEach((margin, i) => expect(m2[i]).toBeCloseTo(margin, 6));
    expect([scales, m1, m3]).toEqual([Array(5).fill(64), Array(5).fill(1), Array(5).fill(0)]);
  });

  it('has λ_g·mean(a/u_a² + 1/a) as its penalty, in training alone', () => {
    const adapter = new MarginAdapter(magFace(), 3);
    const { penalty } = adapter.prepare(makeBatch());
    const of = (a: number) => a / 12100 + 1 / a;
    expect(penalty!.dataSync()[0]).toBeCloseTo((35 * (of(10) + of(20) + of(60) + of(110))) / 4, 5);
    expect(adapter.evaluate(makeBatch())).not.toHaveProperty('penalty');
  });

  it('keeps m2 = π/2 within what an fp32 row may be', () => {
    const adapter = new MarginAdapter(magFace({ upperMargin: Math.PI / 2, regularizer: 1000 }), 3);
    const { rowParameters } = adapter.evaluate(makeBatch());
    const [, , m2] = columnsOf(rowParameters);
    expect(m2[3]).toBeLessThanOrEqual(Math.PI / 2);
    expect(m2[3]).toBeGreaterThan(1.5707);
  });
});

describe('AdaFace', () => {
  it('gives the longest a margin in cosine, the shortest an angular one of the other sign', () => {
    const spec: MarginSpec = { ...adaFace({ momentum: 1 }) };
    const { rowParameters } = new MarginAdapter(spec, 3).prepare(makeBatch());
    const norms = [5, 20, 60, 100];
    const average = 46.25;
    const deviation = Math.sqrt(norms.reduce((sum, n) => sum + (n - average) ** 2, 0) / 3);
    const [, , m2, m3] = columnsOf(rowParameters);
    norms.forEach((n, i) => {
      const k = (0.333 * (n - average)) / (deviation + 1e-3);
      expect(m2[i]).toBeCloseTo(-0.4 * k, 6);
      expect(m3[i]).toBeCloseTo(0.4 + 0.4 * k, 6);
    });
  });

  it('leaves the deviation as it was for a batch of one, which has none', () => {
    const adapter = new MarginAdapter(adaFace(), 3);
    const { targetCosines, negativeLogSums } = makeBatch();
    const one = { norms: tf.tensor2d([[50]]), labels: Int32Array.of(0), targetCosines, negativeLogSums };
    adapter.prepare(one).commit();
    expect(adapter.state().adaptations).toEqual([{ kind: 'norm-quality', mean: 20 * 0.99 + 0.5, stddev: 100 }]);
  });
});

describe('ElasticFace', () => {
  const train = (spec: MarginSpec, steps: number, count: number, cosines: number[]) => {
    const adapter = new MarginAdapter(spec, 3);
    const margins: number[][] = [];
    for (let t = 0; t < steps; t++) {
      const batch = { labels: new Int32Array(count), targetCosines: () => cosines, negativeLogSums: () => [] };
      const prepared = adapter.prepare(batch);
      margins.push(columnsOf(prepared.rowParameters)[2]);
      prepared.commit();
    }
    return margins;
  };

  it('draws normal margins: mean, deviation and correlation of many', () => {
    const drawn = train(elasticFace({ stddev: 0.05, seed: 2 ** 40 + 7 }), 40, 500, []).flat();
    const average = drawn.reduce((a, b) => a + b) / drawn.length;
    const spread = drawn.reduce((sum, m) => sum + (m - average) ** 2, 0) / drawn.length;
    const lagged = drawn.slice(1).reduce((sum, m, i) => sum + (m - average) * (drawn[i] - average), 0) / drawn.length;
    // Five standard errors of 20 000 draws.
    expect(Math.abs(average - 0.5)).toBeLessThan((5 * 0.05) / Math.sqrt(20000));
    expect(Math.abs(Math.sqrt(spread) - 0.05)).toBeLessThan((5 * 0.05) / Math.sqrt(40000));
    expect(Math.abs(lagged / spread)).toBeLessThan(5 / Math.sqrt(20000));
    expect(new Set(drawn).size).toBeGreaterThan(19900);
  });

  it('draws by seed and step alone', () => {
    const [first, again, other] = [3, 3, 4].map((seed) => train(elasticFace({ seed }), 2, 9, []));
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
    expect(first[1]).not.toEqual(first[0]);
    elasticNormals(3, 1, 9).forEach((z, i) => expect(first[1][i]).toBeCloseTo(0.5 + 0.05 * z, 6));
  });

  it('plus: the nearer the centre, the smaller the margin', () => {
    const cosines = [0.3, 0.9, -0.5, 0.9, 0];
    const [margins] = train(elasticFace({ plus: true, stddev: 0.3 }), 1, 5, cosines);
    const [plain] = train(elasticFace({ stddev: 0.3 }), 1, 5, cosines);
    expect([...margins].sort()).toEqual([...plain].sort());
    const nearestFirst = [1, 3, 0, 4, 2].map((i) => margins[i]);
    expect(nearestFirst).toEqual([...margins].sort((a, b) => a - b));
  });

  it('holds margins within the range of the parameter', () => {
    const margins = train(elasticFace({ margin: 1.5, stddev: 1 }), 1, 64, [])[0];
    expect(Math.max(...margins)).toBeLessThanOrEqual(Math.PI / 2);
    expect(margins.filter((m) => m > 1.5707).length).toBeGreaterThan(5);
    const easy = train(elasticFace({ margin: 0.1, stddev: 1, fallback: 'easy' }), 1, 64, [])[0];
    expect(Math.min(...easy)).toBe(0);
    const hard = train(elasticFace({ margin: 0.1, stddev: 1 }), 1, 64, [])[0];
    expect(Math.min(...hard)).toBeLessThan(-0.5);
  });
});

it('AdaCos keeps its scale in range where cosines give none, and without negatives', () => {
  const adapter = new MarginAdapter(adaCos({ classes: 3 }), 3);
  const prepare = (sums: number[]) => adapter.prepare({ ...makeBatch(), negativeLogSums: () => sums }).rule.scale;
  expect(prepare([-5, -5, -5, -5])).toBe(1);
  expect(prepare([1e4, 0, 0, 0])).toBe(1024);
  expect(prepare([-Infinity, -Infinity, -Infinity, -Infinity])).toBe(adaCos({ classes: 3 }).scale);
});

it('SphereFace’s λ falls from 1000/1.12 to 5 as the Caffe program’s', () => {
  const adapter = new MarginAdapter(sphereFace({ scale: 30 }), 3);
  const blends = Array.from({ length: 1700 }, () => {
    const { rule, commit } = adapter.prepare(makeBatch());
    commit();
    return rule.blend!;
  });
  expect(1 / blends[0] - 1).toBeCloseTo(1000 / 1.12, 6);
  expect(1 / blends[99] - 1).toBeCloseTo(1000 / 13, 6);
  expect(1 / blends[1699] - 1).toBeCloseTo(5, 9);
});
