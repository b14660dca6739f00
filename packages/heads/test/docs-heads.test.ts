import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import * as engine from '../dist/engine/index.js';
import * as heads from '../dist/index.js';

const folder = fileURLToPath(new URL('../../../docs/heads/', import.meta.url));
const NO_HEADS = ['README.md', 'experiments.md'];
const pages = readdirSync(folder).filter((name) => name.endsWith('.md') && !NO_HEADS.includes(name));
const read = (page: string) => readFileSync(`${folder}${page}`, 'utf8');

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** What the pages' code takes as given: four samples of three classes, and four groups. */
function given(): Record<string, unknown> {
  const [batch, dim, classes] = [4, 512, 3];
  const embeddings = tf.randomNormal([batch, dim], 0, 1, 'float32', 1);
  const labels = Int32Array.of(0, 1, 2, 2);
  return {
    classes,
    embeddings,
    labels,
    x: embeddings,
    y: labels,
    centers: tf.randomNormal([classes, dim], 0, 1, 'float32', 2),
    weights: tf.randomNormal([classes, dim], 0, 1, 'float32', 3),
    biases: tf.zeros([classes]),
    bias: tf.scalar(0),
    samplesOfEachClass: [10, 200, 3],
    groupOfEachClass: [0, 1, 3],
  };
}

describe('the code of docs/heads runs', () => {
  it.each(pages)('%s', (page) => {
    const blocks = [...read(page).matchAll(/```js\n([^]*?)```/g)].map(([, code]) => code!);
    expect(blocks.length).toBeGreaterThan(0);
    const inputs = given();
    const scope = { ...heads, ...engine, tf, ...inputs };
    // Strict: a name that is neither given nor ours throws.
    for (const code of blocks) new Function(...Object.keys(scope), `'use strict';\n${code}`)(...Object.values(scope));
    tf.dispose(Object.values(inputs).filter((value) => value instanceof tf.Tensor));
  });
});

const adaptation = (margin: heads.MarginSpec) => margin.adaptive![0] as unknown as Record<string, number>;

/** What the pages say of defaults, made of what the factories give. */
const STATED: Record<string, () => string[]> = {
  'normface.md': () => [`\`scale\` ${heads.normFace().scale}`],
  'arcface.md': () => {
    const { m2, scale, fallback, gradient } = heads.arcFace();
    return [
      `\`margin\` ${m2} radians`,
      `\`scale\` ${scale}`,
      `\`fallback: '${fallback}'\``,
      `\`gradient: '${gradient}'\``,
    ];
  },
  'cosface.md': () => {
    const { m3, scale } = heads.cosFace();
    return [`\`margin\` ${m3}`, `\`scale\` ${scale}`, `takes ${heads.presets.arcfaceTorchCosface.m3}`];
  },
  'combined.md': () => {
    const { m1, m2, m3, scale } = heads.combinedMargin();
    const { insightfaceMxnetSphereface: mxnet } = heads.presets;
    return [`(${m1}, ${m2}, ${m3})`, `\`scale\` ${scale}`, `(${mxnet.m1}, ${mxnet.m2}, ${mxnet.m3})`];
  },
  'sphereface.md': () => {
    const margin = heads.sphereFace();
    const [norm, schedule] = margin.adaptive! as unknown as Record<string, number>[];
    expect([norm!.lowerNorm, schedule!.power]).toEqual([1e-3, 1]);
    const lambda = `λ = max(${schedule!.minimum}, ${schedule!.base}/(1 + ${schedule!.gamma}·t))`;
    return [`\`margin\` ${margin.m1}`, `[10⁻³, ${norm!.upperNorm}]`, lambda];
  },
  'magface.md': () => {
    const margin = heads.magFace();
    const { lowerNorm, upperNorm, lowerMargin, upperMargin, regularizer } = adaptation(margin);
    const bound = heads.feasibleRegularizer(margin.scale, margin.adaptive![0] as heads.MagnitudeAdaptation);
    return [
      `l_a = ${lowerNorm}, u_a = ${upperNorm}, l_m = ${lowerMargin}, u_m = ${upperMargin}, λ_g = ${regularizer}`,
      `\`fallback: '${margin.fallback}'\``,
      `\`scale\` ${margin.scale}`,
      `(${bound.toFixed(3)} with these numbers`,
    ];
  },
  'adaface.md': () => {
    const { scale, fallback, clipRadians, ...rest } = heads.adaFace();
    const { margin, concentration, momentum, initialMean, initialStddev } = adaptation({ ...rest, scale, fallback });
    expect(clipRadians).toBe(1e-3);
    return [
      `m = ${margin}, h = ${concentration}, \`momentum\` ${momentum}, \`scale\` ${scale}`,
      `\`fallback: '${fallback}'\` at 10⁻³ radians`,
      `from ${initialMean} and ${initialStddev} on`,
    ];
  },
  'curricularface.md': () => {
    const margin = heads.curricularFace();
    const { momentum } = adaptation(margin);
    return [
      `m = ${margin.m2}, \`scale\` ${margin.scale}, \`momentum\` ${momentum}`,
      `t ← ${momentum}·mean(cosθ_y) + ${1 - momentum!}·t`,
      `t from ${margin.negatives!.above.value[1]}`,
    ];
  },
  'mv-softmax.md': () => {
    const { m3, scale, negatives } = heads.mvSoftmax();
    const arc = heads.mvSoftmax({ base: 'arc' });
    const t = negatives!.above.value[1];
    return [
      `m = ${m3}, \`mode: 'adaptive'\`, t = ${t}, \`scale\` ${scale}`,
      `m = ${arc.m2} and the fallback \`${arc.fallback}\``,
    ];
  },
  'elasticface.md': () => {
    const arc = heads.elasticFace();
    const [cos, arcPlus, cosPlus] = [{}, { plus: true }, { plus: true }].map((options, i) =>
      heads.elasticFace({ base: i === 1 ? 'arc' : 'cos', ...options }),
    ) as [heads.MarginSpec, heads.MarginSpec, heads.MarginSpec];
    expect(adaptation(cos).stddev).toBe(adaptation(arc).stddev);
    return [
      `\`margin\` ${arc.m2} or ${cos.m3}, σ = ${adaptation(arc).stddev}`,
      `(\`plus\`: ${adaptation(arcPlus).stddev} or ${adaptation(cosPlus).stddev}), \`scale\` ${arc.scale}, \`seed\` ${adaptation(arc).seed}`,
    ];
  },
  'x2-softmax.md': () => {
    const { m1, m2, m3, scale } = heads.x2Softmax();
    return [`a = −${m1}, h = ${m2}, k = ${-m3}, \`scale\` ${scale}`];
  },
  'circle.md': () => {
    const { m2, scale, gradient } = heads.circleSoftmax();
    return [`m = ${m2}, γ = ${scale}`, `\`gradient: '${gradient}'\`, the default`];
  },
  'class-variant.md': () => {
    const margin = heads.classVariant({ counts: [1, 16] });
    const [rarest, frequent] = adaptation(margin).margins as unknown as [number, number];
    expect(frequent).toBeCloseTo(rarest / 2, 12);
    return [
      `\`margin\` ${rarest} for the rarest class`,
      `\`falseMargin\` ${margin.m3 - rarest}`,
      `\`scale\` ${margin.scale}`,
    ];
  },
  'inter-class-filter.md': () => {
    const { negatives } = heads.withInterClassFilter(heads.arcFace());
    return [`τ = ${negatives!.threshold}`];
  },
  'center-loss.md': () => {
    const center = new heads.CenterLoss({ classes: 2, dim: 2 });
    center.dispose();
    return [`λ = ${center.weight}, α = ${center.rate}`];
  },
};

describe('the defaults that the pages state are the factories’', () => {
  it.each(Object.keys(STATED))('%s', (page) => {
    const text = read(page);
    for (const words of STATED[page]!()) expect(text).toContain(words);
  });

  /** Losses whose defaults no object holds: the same loss with the page's numbers given, another with any of them changed. */
  const { embeddings, centers, labels } = {
    embeddings: [3, 1, -2, 1, 2, 2, -1, 3],
    centers: [1, 0.4, -0.3, 2],
    labels: [0, 1, 1, 0],
  };
  const x = () => tf.tensor2d(embeddings, [4, 2]);
  const w = () => tf.tensor2d(centers, [2, 2]);
  const LOSSES: {
    page: string;
    stated: string;
    options: Record<string, unknown>;
    loss: (options: object) => tf.Scalar;
  }[] = [
    {
      page: 'sphereface2.md',
      stated: 'λ = 0.7 (`balance`), r = 40 (`scale`), m = 0.4 (`margin`), t = 3 (`exponent`)',
      options: { balance: 0.7, scale: 40, margin: 0.4, exponent: 3 },
      loss: (options) => heads.sphereFace2Loss(x(), w(), 0.5, labels, options),
    },
    {
      page: 'uniface.md',
      stated: 's = 64, m = 0.4, λ = 1 (`balance`)',
      options: { scale: 64, margin: 0.4, balance: 1 },
      loss: (options) => heads.unifaceLoss(x(), w(), 0.5, labels, options),
    },
    {
      page: 'contrastive.md',
      stated: 'm = 1 (unit vectors are at most 2 apart), distances of normalised embeddings (`normalize: true`)',
      options: { margin: 1, normalize: true },
      loss: (options) => heads.contrastiveLoss(x(), labels, options),
    },
    {
      page: 'triplet.md',
      stated: "`mining: 'semi-hard'`, α = 0.2, squared distances of normalised embeddings",
      options: { margin: 0.2, distance: 'squared', normalize: true },
      loss: (options) => heads.tripletLoss(x(), labels, { mining: 'batch-hard', ...options }),
    },
    {
      page: 'circle.md',
      stated: 'm = 0.25, γ = 256',
      options: { margin: 0.25, scale: 256 },
      loss: (options) => heads.circleLoss(x(), labels, options),
    },
  ];
  it.each(LOSSES)('$page', ({ page, stated, options, loss }) => {
    expect(read(page)).toContain(stated);
    const value = (changed: object) => tf.tidy(() => loss(changed).dataSync()[0]!);
    expect(value(options)).toBe(value({}));
    for (const [name, number] of Object.entries(options)) {
      const other = { squared: 'euclidean', true: false }[String(number)] ?? (number as number) * 0.9;
      expect(value({ ...options, [name]: other }), name).not.toBe(value({}));
    }
  });

  it('UniFace’s first bias is ln(10·C)', () => {
    expect(read('uniface.md')).toContain('ln(10·C)');
    expect(heads.unifaceBias(50)).toBeCloseTo(Math.log(500), 12);
  });
});
