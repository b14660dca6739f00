import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';

import { DropPath, TokenDropout, TokenRestore } from '../../dist/layers/index.js';
import { backends, useBackend, values } from './backends.js';

const [BATCH, TOKENS, DIM, KEPT] = [3, 10, 2, 7];

/** Rows [B, 2T] by sample: kept and dropped tokens, from 0, and the place of each token. */
function read(drawn: tf.Tensor): { kept: number[]; dropped: number[]; places: number[] }[] {
  const all = [...drawn.dataSync()];
  return Array.from({ length: BATCH }, (_, b) => {
    const order = all.slice(b * 2 * TOKENS, b * 2 * TOKENS + TOKENS).map((row) => row - b * TOKENS);
    return {
      kept: order.slice(0, KEPT),
      dropped: order.slice(KEPT),
      places: all.slice((2 * b + 1) * TOKENS, (2 * b + 2) * TOKENS),
    };
  });
}

const increasing = (n: number) => Array.from({ length: n }, (_, i) => i);

describe.each(backends)('TokenDropout and TokenRestore on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  it('keep ⌊T·(1 − rate)⌋ tokens of each sample, put them back, and pass gradients on', () => {
    const drop = new TokenDropout({ rate: 0.3, seed: 5 });
    const restore = new TokenRestore();
    const x = tf.variable(tf.tensor(values(BATCH * TOKENS * DIM, 1), [BATCH, TOKENS, DIM]));
    restore.build([
      [null, null, DIM],
      [null, 2 * TOKENS],
    ]);
    const token = restore.trainableWeights[0]!.read() as tf.Variable;
    token.assign(tf.tensor1d([8, 9]));
    const dy = values(BATCH * TOKENS * DIM, 2);
    let [less, drawn, full] = [] as unknown as [tf.Tensor, tf.Tensor, tf.Tensor];
    const { grads } = tf.variableGrads(() => {
      [less, drawn] = (drop.apply(x, { training: true }) as tf.Tensor[]).map((t) => tf.keep(t)) as [
        tf.Tensor,
        tf.Tensor,
      ];
      // Doubled in between, so that the two gradients cannot be mistaken for an identity.
      full = tf.keep(restore.apply([tf.mul(less, 2), drawn], { training: true }) as tf.Tensor);
      return tf.sum(tf.mul(full, tf.tensor(dy, full.shape))) as tf.Scalar;
    }, [x, token]);
    expect(less.shape).toEqual([BATCH, KEPT, DIM]);
    const before = x.dataSync();
    const [dx, dToken] = [grads[x.name]!.dataSync(), grads[token.name]!.dataSync()];
    const expectedToken = [0, 0];
    const samples = read(drawn);
    samples.forEach(({ kept, dropped, places }, b) => {
      expect([...kept, ...dropped].sort((p, q) => p - q)).toEqual(increasing(TOKENS));
      kept.forEach((t, k) => expect(places[t]).toBe(b * KEPT + k));
      for (const t of increasing(TOKENS)) {
        for (const d of increasing(DIM)) {
          const i = (b * TOKENS + t) * DIM + d;
          const stays = kept.includes(t);
          expect(full.dataSync()[i]).toBe(stays ? 2 * before[i]! : 8 + d);
          expect(dx[i]).toBe(stays ? Math.fround(2 * dy[i]!) : 0);
          if (!stays) expectedToken[d]! += dy[i]!;
        }
      }
    });
    expect([...dToken]).toEqual(expectedToken.map((v) => expect.closeTo(v, 5)));
    // Samples draw their own.
    expect(new Set(samples.map(({ dropped }) => dropped.sort().join())).size).toBeGreaterThan(1);
  });

  it('draw the same on every backend, other tokens at each step, and go on from a restored counter', () => {
    const x = tf.ones([BATCH, TOKENS, DIM]);
    const draw = (layer: TokenDropout) =>
      read((layer.apply(x, { training: true }) as tf.Tensor[])[1]!).map((s) => s.dropped);
    const layer = new TokenDropout({ rate: 0.3, seed: 5 });
    const first = draw(layer);
    expect(first).toMatchInlineSnapshot(`
      [
        [
          5,
          7,
          6,
        ],
        [
          2,
          1,
          6,
        ],
        [
          9,
          0,
          7,
        ],
      ]
    `);
    const saved = layer.getWeights().map((w) => w.clone());
    const second = draw(layer);
    expect(second).not.toEqual(first);
    const resumed = new TokenDropout({ rate: 0.3, seed: 5 });
    resumed.build([null, TOKENS, DIM]);
    resumed.setWeights(saved);
    expect(draw(resumed)).toEqual(second);
    expect(draw(new TokenDropout({ rate: 0.3, seed: 6 }))).not.toEqual(first);
  });

  it('drop all tokens equally often', () => {
    const layer = new TokenDropout({ rate: 0.3, seed: 1 });
    const counts = new Array<number>(TOKENS).fill(0);
    const x = tf.ones([BATCH, TOKENS, DIM]);
    for (let step = 0; step < 300; step++) {
      const outputs = layer.apply(x, { training: true }) as tf.Tensor[];
      for (const { dropped } of read(outputs[1]!)) for (const t of dropped) counts[t]!++;
      tf.dispose(outputs);
    }
    // 900 draws of probability 0.3: 270 ± 14.
    for (const count of counts) expect(Math.abs(count - 270)).toBeLessThan(60);
  });

  it('are the identity outside training', () => {
    const x = tf.tensor(values(BATCH * TOKENS * DIM, 1), [BATCH, TOKENS, DIM]);
    const [same, drawn] = new TokenDropout({ rate: 0.3, seed: 5 }).apply(x) as [tf.Tensor, tf.Tensor];
    const back = new TokenRestore().apply([same, drawn]) as tf.Tensor;
    expect([...back.dataSync()]).toEqual([...x.dataSync()]);
  });
});

describe.each(backends)('DropPath on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });
  const draw = (layer: DropPath, training = true) => {
    const data = (layer.apply(tf.ones([400, 2, 3]), { training }) as tf.Tensor).dataSync();
    return Array.from({ length: 400 }, (_, b) => [...data.slice(6 * b, 6 * b + 6)]);
  };

  it('drops whole samples and keeps the mean', () => {
    const samples = draw(new DropPath({ rate: 0.2, seed: 3 }));
    for (const sample of samples) expect(new Set(sample).size).toBe(1);
    const kept = samples.filter(([v]) => v !== 0);
    expect(kept.every(([v]) => v === Math.fround(1.25))).toBe(true);
    expect(kept.length / 400).toBeCloseTo(0.8, 1);
  });

  it('draws anew at each step, goes on from a restored counter, and is the identity outside training', () => {
    const layer = new DropPath({ rate: 0.5, seed: 3 });
    const first = draw(layer);
    const saved = layer.getWeights().map((w) => w.clone());
    const second = draw(layer);
    expect(second).not.toEqual(first);
    const resumed = new DropPath({ rate: 0.5, seed: 3 });
    resumed.build([null, 2, 3]);
    resumed.setWeights(saved);
    expect(draw(resumed)).toEqual(second);
    expect(
      draw(layer, false)
        .flat()
        .every((v) => v === 1),
    ).toBe(true);
  });
});
