import { classVariant, cosFace, type MarginSpec } from '@hyperarc/heads';

import { meanDirections } from './angles.js';
import { Clusters } from './clusters.js';
import { Perceptron } from './model.js';
import { embed, makeClassifier, trainOn } from './training.js';

const CLASSES = 40;
const MOST = 200;
const DIM = 16;
const SCALE = 16;
/** Samples of class j, from 200 down to 4 by a power law. */
export const countOf = (j: number): number => Math.max(4, Math.round(MOST / (j + 1) ** 1.1));
const TEST_SAMPLES = 50;

export interface LongTailResult {
  readonly head: string;
  readonly seeds: number;
  /** Mean over seeds of the accuracy by nearest class centre: the third of the classes with fewest samples, and with most. */
  readonly tailAccuracy: number;
  readonly bodyAccuracy: number;
  /** Accuracy on the tail at each seed. */
  readonly tailBySeed: number[];
}

/** Share of held-out embeddings nearest to the class centre of their own class, among the classes that `counts`. */
function accuracy(
  embeddings: readonly number[][],
  labels: Int32Array,
  centers: readonly number[][],
  counts: (label: number) => boolean,
): number {
  const chosen = [...labels.keys()].filter((n) => counts(labels[n]!));
  const right = chosen.filter((n) => {
    const scores = centers.map((center) => center.reduce((sum, value, d) => sum + value * embeddings[n]![d]!, 0));
    return scores.indexOf(Math.max(...scores)) === labels[n];
  });
  return right.length / chosen.length;
}

/** A fixed margin against class-variant ones of the same mean over the samples, on identities of 200 down to 4 samples. */
export function longTail(steps = 800, seeds = 5, log: (line: string) => void = () => {}): LongTailResult[] {
  const counts = Array.from({ length: CLASSES }, (_, j) => countOf(j));
  const variant = classVariant({ counts, margin: 0.5, scale: SCALE });
  const margins = counts.map((count) => 0.5 * (Math.min(...counts) / count) ** 0.25);
  const samples = counts.reduce((sum, count) => sum + count, 0);
  const meanMargin = margins.reduce((sum, margin, j) => sum + margin * counts[j]!, 0) / samples;
  const compared: [string, MarginSpec][] = [
    [`cosface, m = ${meanMargin.toFixed(2)} for all`, cosFace({ margin: meanMargin, scale: SCALE })],
    ['class-variant, m = 0.5 for the rarest', variant],
  ];
  return compared.map(([head, margin]) => {
    const tailBySeed: number[] = [];
    let body = 0;
    for (let seed = 0; seed < seeds; seed++) {
      const clusters = new Clusters({ identities: CLASSES, inputs: 24, spread: 0.9, seed: 41 + seed });
      const [training, heldOut] = [clusters.draw(0, countOf), clusters.draw(1, () => TEST_SAMPLES)];
      const model = new Perceptron([24, 48, DIM], 3 + seed);
      const classifier = makeClassifier(margin, CLASSES, DIM);
      trainOn(training, model, classifier, { steps, batch: 64, learningRate: 2e-3, seed });
      const centers = meanDirections(
        classifier.head!.centers.arraySync() as number[][],
        Int32Array.from({ length: CLASSES }, (_, j) => j),
        CLASSES,
      );
      const embeddings = embed(heldOut, model);
      tailBySeed.push(accuracy(embeddings, heldOut.labels, centers, (label) => label >= (2 * CLASSES) / 3));
      body += accuracy(embeddings, heldOut.labels, centers, (label) => label < CLASSES / 3) / seeds;
      model.dispose();
      classifier.dispose();
    }
    const tailAccuracy = tailBySeed.reduce((sum, value) => sum + value, 0) / seeds;
    const result = { head, seeds, tailAccuracy, bodyAccuracy: body, tailBySeed };
    log(`long tail, ${head}: ${(100 * tailAccuracy).toFixed(1)}% on the tail, ${(100 * body).toFixed(1)}% on the body`);
    return result;
  });
}
