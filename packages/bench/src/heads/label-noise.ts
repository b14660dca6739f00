import { arcFace, dropNoise, subCenterReport } from '@hyperarc/heads';
import * as tf from '@tensorflow/tfjs-core';

import { Clusters } from './clusters.js';
import { Perceptron } from './model.js';
import { Random } from './random.js';
import { makeClassifier, trainOn } from './training.js';

const CLASSES = 40;
const SAMPLES = 100;
const NOISE = 0.3;
const DIM = 32;
/** Degrees to the dominant sub-centre: the paper's 75, and 60. */
const ANGLES = [60, 75];

export interface LabelNoiseResult {
  readonly subCenters: number;
  readonly maxAngleDegrees: number;
  readonly samples: number;
  readonly wrongLabels: number;
  readonly dropped: number;
  /** Share of the dropped samples whose label was wrong. */
  readonly precision: number;
  /** Share of the wrong labels that were dropped. */
  readonly recall: number;
  /** Share of wrong labels among what is kept. */
  readonly noiseLeft: number;
}

/**
 * Sub-center ArcFace on labels of which 30% are wrong (another class, drawn at random), then the drop step of its paper, §3.3, at two
 * angles; beside it the same with one centre a class. Training is short: a network that goes on learns wrong labels by heart.
 */
export async function labelNoise(steps = 400, log: (line: string) => void = () => {}): Promise<LabelNoiseResult[]> {
  const clusters = new Clusters({ identities: CLASSES, inputs: 32, spread: 0.6, seed: 21 });
  const clean = clusters.draw(0, () => SAMPLES);
  const random = new Random(23);
  const isWrong = Array.from(clean.labels, () => random.uniform() < NOISE);
  const labels = clean.labels.map((label, n) =>
    isWrong[n] ? (label + 1 + random.integer(CLASSES - 1)) % CLASSES : label,
  );
  const wrongLabels = isWrong.filter(Boolean).length;
  const noisy = { ...clean, labels };
  const results: LabelNoiseResult[] = [];
  for (const subCenters of [1, 3]) {
    const model = new Perceptron([32, 64, DIM], 3);
    const classifier = makeClassifier(arcFace({ margin: 0.3, scale: 16 }), CLASSES, DIM, subCenters);
    trainOn(noisy, model, classifier, { steps, batch: 128, learningRate: 2e-3, seed: 2 });
    const embeddings = tf.tidy(() => model.apply(tf.tensor2d(noisy.values, [labels.length, noisy.inputs])));
    for (const maxAngleDegrees of ANGLES) {
      const report = await subCenterReport(classifier.head!, [{ embeddings, labels }], { maxAngleDegrees });
      const kept = new Set(dropNoise(report).samples);
      const dropped = [...isWrong.keys()].filter((n) => !kept.has(n));
      const found = dropped.filter((n) => isWrong[n]).length;
      const result = {
        ...{ subCenters, maxAngleDegrees, samples: labels.length, wrongLabels, dropped: dropped.length },
        precision: found / dropped.length,
        recall: found / wrongLabels,
        noiseLeft: (wrongLabels - found) / kept.size,
      };
      results.push(result);
      const share = (value: number) => `${(100 * value).toFixed(1)}%`;
      log(
        `label noise, K = ${subCenters}, ${maxAngleDegrees}°: precision ${share(result.precision)}, recall ${share(result.recall)}`,
      );
    }
    embeddings.dispose();
    model.dispose();
    classifier.dispose();
  }
  return results;
}
