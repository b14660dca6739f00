import * as heads from '@hyperarc/heads';

import { angleStatistics, type AngleStatistics } from './angles.js';
import { Clusters } from './clusters.js';
import { Perceptron } from './model.js';
import { embed, makeClassifier, trainOn } from './training.js';

/** Heads side by side, all with s = 16: the margins are what differs. Softmax has no scale. */
const SCALE = 16;
export const COMPARED = [
  ['softmax', null],
  ['normface', heads.normFace({ scale: SCALE })],
  ['sphereface (m = 1.5)', heads.sphereFace({ margin: 1.5, scale: SCALE, annealing: false })],
  ['cosface (m = 0.2)', heads.cosFace({ margin: 0.2, scale: SCALE })],
  ['arcface (m = 0.4)', heads.arcFace({ margin: 0.4, scale: SCALE })],
  ['combined (1, 0.2, 0.1)', heads.combinedMargin({ m2: 0.2, m3: 0.1, scale: SCALE })],
  ['x2-softmax', heads.x2Softmax({ scale: SCALE })],
] as const satisfies readonly (readonly [string, heads.MarginSpec | null])[];

const CLASSES = 8;
const TRAIN_SAMPLES = 400;
const TEST_SAMPLES = 60;

export interface TightenRow extends AngleStatistics {
  readonly head: string;
  readonly dim: number;
  readonly trainingLoss: number;
}

export interface TightenResult {
  readonly rows: TightenRow[];
  /** Held-out embeddings of each head in two dimensions, for the circle plots. */
  readonly circles: { head: string; embeddings: number[][]; labels: Int32Array }[];
}

/** Trains each head on the same identities in 2 and 3 dimensions, and measures held-out samples of them. */
export function tighten(steps = 1500, log: (line: string) => void = () => {}): TightenResult {
  const clusters = new Clusters({ identities: CLASSES, inputs: 16, spread: 0.5, seed: 11 });
  const [training, heldOut] = [clusters.draw(0, () => TRAIN_SAMPLES), clusters.draw(1, () => TEST_SAMPLES)];
  const rows: TightenRow[] = [];
  const circles: TightenResult['circles'] = [];
  for (const dim of [2, 3]) {
    for (const [head, margin] of COMPARED) {
      const model = new Perceptron([16, 48, dim], 3);
      const classifier = makeClassifier(margin, CLASSES, dim);
      const trainingLoss = trainOn(training, model, classifier, { steps, batch: 64, learningRate: 3e-3, seed: 1 });
      const embeddings = embed(heldOut, model);
      const row = { head, dim, trainingLoss, ...angleStatistics(embeddings, heldOut.labels, CLASSES) };
      rows.push(row);
      if (dim === 2) circles.push({ head, embeddings, labels: heldOut.labels });
      log(`${dim}-D ${head}: ${row.intraClass.toFixed(2)}° within, ${row.interClass.toFixed(1)}° between classes`);
      model.dispose();
      classifier.dispose();
    }
  }
  return { rows, circles };
}
