import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  collectEnvironment,
  similarityHistogram,
  verify,
  worstPairs,
  writeEvaluation,
  type Evaluation,
  type ImagePair,
} from '../../dist/evaluate/index.js';
import { smooth, thinPoints } from '../../dist/report/charts.js';
import { renderReport, writeReport, type ReportData } from '../../dist/report/index.js';

const HOSTILE = `</title><script>alert("1")</script><img src='x' onerror=alert(2)>&amp;`;

/** Elements that are open but not closed, or closed but not open; `<style>` holds no markup here. */
function unbalancedTags(document: string): string[] {
  const tags = document
    .replace(/<!doctype html>/i, '')
    .matchAll(/<(\/?)([a-zA-Z][\w-]*)((?:[^>"']|"[^"]*"|'[^']*')*?)(\/?)>/g);
  const open: string[] = [];
  const wrong: string[] = [];
  for (const [, closing, name, , selfClosing] of tags) {
    if (closing && open.pop() !== name) wrong.push(`/${name}`);
    if (!closing && !selfClosing && !['meta', 'img', 'br'].includes(name!)) open.push(name!);
  }
  return [...wrong, ...open];
}

function evaluationOf(models: Record<string, number>, pairs: readonly ImagePair[]): Evaluation {
  const same = pairs.map((pair) => pair.same);
  const evaluation: Evaluation = {
    format: 'hyperarc-evaluation-1',
    createdAt: '2030-01-01T00:00:00.000Z',
    data: 'test people',
    root: '.',
    images: 20,
    imageSize: 16,
    flip: true,
    models: [],
    worst: { falseRejects: [], falseAccepts: [] },
  };
  for (const [name, gap] of Object.entries(models)) {
    const similarities = same.map((isSame, i) => (isSame ? gap : 0) + 0.3 * Math.sin(i * 12.9898));
    const { roc, ...figures } = verify(similarities, same);
    const histogram = similarityHistogram(similarities, same, 10);
    evaluation.models.push({ name, ...figures, roc: { far: roc.far, tar: roc.tar }, histogram });
    evaluation.worst = worstPairs(similarities, pairs, 3);
  }
  return evaluation;
}

const pairsIn = (folder: string): ImagePair[] =>
  Array.from({ length: 80 }, (_, i) => ({
    a: join(folder, `${i % 4}.jpg`),
    b: join(folder, `${(i * 3 + 1) % 5}.jpg`),
    same: i % 2 === 0,
    fold: i % 10,
  }));

const trainRecord = (step: number) => ({
  kind: 'train' as const,
  step,
  epoch: step / 10,
  loss: 30 / step,
  targetCosine: 0.1,
  learningRate: 0.1,
  headLearningRate: 0.1,
  gradientNorm: 1,
  imagesPerSecond: 100,
  dataWaitShare: 0,
  stepsDone: step,
  elapsedMs: step,
});

const full = (): ReportData => ({
  title: 'run-001',
  createdAt: '2030-01-01T00:00:00.000Z',
  environment: { CPU: 'test' },
  pictures: new Map([[join('people', '0.jpg'), 'data:image/jpeg;base64,AA==']]),
  config: 'name: run\n',
  metrics: [
    ...[10, 20, 30].map(trainRecord),
    { kind: 'evaluate', step: 30, epoch: 3, accuracy: 0.9, accuracyStd: 0.01 },
  ],
  evaluation: evaluationOf({ 'raw pixels': 0.05, untrained: 0.02, trained: 0.5 }, pairsIn('people')),
});

describe('renderReport', () => {
  it('shows every part, in balanced markup', () => {
    const data = full();
    const report = renderReport(data);
    expect(unbalancedTags(report)).toEqual([]);
    for (const model of data.evaluation!.models) {
      expect(report).toContain(`<td>${model.name}</td>`);
      expect(report).toContain(`${(100 * model.accuracy.mean).toFixed(2)}%`);
      expect(report).toContain(`${model.name} (AUC ${model.auc.toFixed(4)})`);
    }
    // Loss, learning rate, cosine, accuracy while training; ROC; a histogram a model.
    expect(report.match(/<svg /g)).toHaveLength(8);
    expect(report).toContain('n/a');
    expect(report).toContain('needs at least 1000 different pairs, has 40');
    expect(report).toContain('<pre>name: run\n</pre>');
    expect(report).toContain('no picture');
  });

  it('asks for nothing from outside and runs no script', () => {
    const report = renderReport(full());
    expect(report).toContain('src="data:');
    expect(report).not.toMatch(/(?:src|href)\s*=\s*(?!["']data:)/i);
    expect(report).not.toMatch(/url\((?!#)|@import|<script|<link|<iframe|<object/i);
  });

  it('escapes hostile text wherever it can come from', () => {
    const data = full();
    const evaluation = evaluationOf({ [HOSTILE]: 0.4 }, pairsIn(HOSTILE));
    evaluation.data = HOSTILE;
    const report = renderReport({
      ...data,
      title: HOSTILE,
      config: HOSTILE,
      environment: { [HOSTILE]: HOSTILE },
      evaluation,
      pictures: new Map([[evaluation.worst.falseAccepts[0]!.a, 'data:image/jpeg;base64,AA==']]),
    });
    expect(report).not.toMatch(/<script/i);
    expect(report).not.toMatch(/<img src='x'/);
    expect(report).toContain('&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;');
    expect(unbalancedTags(report)).toEqual([]);
  });

  it('leaves out what there is not', () => {
    const report = renderReport({ title: 'empty', createdAt: '2030-01-01T00:00:00.000Z', environment: {} });
    expect(unbalancedTags(report)).toEqual([]);
    expect(report).not.toContain('<svg');
    expect(report).not.toContain('<h2>Verification');
  });
});

describe('writeReport', () => {
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hyperarc-report-'));
    for (let i = 0; i < 4; i++) {
      const image = sharp({
        create: { width: 300, height: 200, channels: 3, background: { r: 60 * i, g: 10, b: 10 } },
      });
      await image.jpeg().toFile(join(folder, `${i}.jpg`));
    }
    writeFileSync(join(folder, '4.jpg'), 'not a picture');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('gathers the run folder into one file, pictures inlined', async () => {
    writeEvaluation(join(folder, 'evaluation.json'), evaluationOf({ trained: 0.5 }, pairsIn(folder)));
    writeFileSync(join(folder, 'config.yaml'), 'name: gathered\n');
    writeFileSync(
      join(folder, 'metrics.jsonl'),
      [10, 20].map((step) => `${JSON.stringify(trainRecord(step))}\n`).join(''),
    );
    const path = await writeReport({ runFolder: folder, environment: { Engine: 'portable' } });
    const report = readFileSync(path, 'utf8');
    expect(path).toBe(join(folder, 'report.html'));
    expect(readdirSync(folder).filter((name) => name.startsWith('report'))).toEqual(['report.html']);
    expect(report).toContain('name: gathered');
    expect(report).toContain('<h3>Loss</h3>');
    expect(report).toContain('portable');
    const inlined = /src="data:image\/jpeg;base64,([^"]+)"/.exec(report)![1]!;
    expect(await sharp(Buffer.from(inlined, 'base64')).metadata()).toMatchObject({
      format: 'jpeg',
      width: 112,
      height: 112,
    });
  });
});

describe('curves', () => {
  it('thinning takes means of neighbours and keeps short curves', () => {
    expect(
      thinPoints(
        [
          [0, 1],
          [1, 3],
          [2, 5],
          [3, 7],
        ],
        2,
      ),
    ).toEqual([
      [0.5, 2],
      [2.5, 6],
    ]);
    expect(thinPoints([[0, 1]], 2)).toEqual([[0, 1]]);
  });

  it('the running mean of a constant is that constant from the first point', () => {
    for (const [, y] of smooth(
      [
        [0, 4],
        [1, 4],
        [2, 4],
      ],
      5,
    ))
      expect(y).toBeCloseTo(4, 12);
    const [, second] = smooth(
      [
        [0, 0],
        [1, 1],
      ],
      3,
    );
    // span 3: weights 0.25 and 0.5 of the two points.
    expect(second![1]).toBeCloseTo(2 / 3, 12);
  });
});

it('collectEnvironment names the machine, the backend and the engine', () => {
  const environment = collectEnvironment({ name: 'wasm' });
  expect(environment['Node.js']).toBe(process.versions.node);
  expect(environment['CPU']).toMatch(/processors/);
  expect(environment['TensorFlow.js']).toMatch(/^4\.\d+\.\d+, backend wasm$/);
  expect(environment['Engine']).toMatch(/^cpu \(|^none: /);
});
