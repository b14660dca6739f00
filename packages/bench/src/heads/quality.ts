import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { magFace, normFace } from '@hyperarc/heads';
import { writeSynthDataset } from '@hyperarc/trainer';
import sharp from 'sharp';

import type { Samples } from './clusters.js';
import { Perceptron } from './model.js';
import { Random } from './random.js';
import { embed, makeClassifier, trainOn } from './training.js';

const IDENTITIES = 30;
const PICTURES = 30;
const HELD_OUT = 8;
const SIDE = 32;
/** Deviations of the blur that held-out pictures are shown at, pixels of 32; training pictures have any between. sharp's least is 0.3. */
const LEVELS = [0.3, 1, 2, 3, 4, 5] as const;
const DIM = 64;
/** Of the last layer's first weights: embeddings start within MagFace's range of norms, 10 to 110. */
const LAST_GAIN = 4;

export interface QualityRow {
  readonly head: string;
  /** Spearman's rank correlation of ‖x‖ with sharpness (less blur) over all held-out pictures at all levels of blur. */
  readonly overall: number;
  /** The same over the levels of one picture, the mean of all pictures: pose, light and occlusion held still. */
  readonly withinPicture: number;
  /** Mean ‖x‖ at each level, sharpest first. */
  readonly meanNorms: number[];
}

export interface QualityResult {
  readonly rows: QualityRow[];
  readonly pictures: number;
  /** Deviations of the blur, pixels of 32. */
  readonly levels: readonly number[];
}

/** Ranks from 0, ties shared. */
function ranks(values: readonly number[]): number[] {
  const order = [...values.keys()].sort((a, b) => values[a]! - values[b]!);
  const result = Array<number>(values.length);
  for (let start = 0; start < order.length;) {
    let end = start;
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++;
    for (let p = start; p < end; p++) result[order[p]!] = (start + end - 1) / 2;
    start = end;
  }
  return result;
}

/** Spearman's rank correlation. */
export function rankCorrelation(a: readonly number[], b: readonly number[]): number {
  const [x, y] = [ranks(a), ranks(b)];
  const mean = (a.length - 1) / 2;
  const product = (u: number[], v: number[]) => u.reduce((sum, value, n) => sum + (value - mean) * (v[n]! - mean), 0);
  return product(x, y) / Math.sqrt(product(x, x) * product(y, y));
}

/** Mean 0 and deviation 1, so that a blurred picture has no less energy than a sharp one. */
function standardised(pixels: Uint8Array): Float32Array {
  const mean = pixels.reduce((sum, value) => sum + value, 0) / pixels.length;
  const variance = pixels.reduce((sum, value) => sum + (value - mean) ** 2, 0) / pixels.length;
  return Float32Array.from(pixels, (value) => (value - mean) / Math.sqrt(variance + 1));
}

/** Pictures `from` to `to` of each identity, each once for every blur that `blurs` gives. */
async function readPictures(root: string, from: number, to: number, blurs: () => readonly number[]): Promise<Samples> {
  const rows: Float32Array[] = [];
  const labels: number[] = [];
  const identities = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const [label, { name }] of identities.entries()) {
    for (const file of readdirSync(join(root, name)).sort().slice(from, to)) {
      for (const blur of blurs()) {
        const picture = sharp(join(root, name, file))
          .blur(blur)
          .greyscale();
        rows.push(standardised(await picture.raw().toBuffer()));
        labels.push(label);
      }
    }
  }
  const inputs = rows[0]!.length;
  const values = new Float32Array(rows.length * inputs);
  rows.forEach((row, n) => values.set(row, n * inputs));
  return { values, inputs, labels: Int32Array.from(labels) };
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** @param norms ‖x‖ of each picture at each level, [pictures · levels]. */
function describe(head: string, norms: readonly number[]): QualityRow {
  const sharpness = LEVELS.map((blur) => -blur);
  const pictures = Array.from({ length: norms.length / LEVELS.length }, (_, p) =>
    norms.slice(p * LEVELS.length, (p + 1) * LEVELS.length),
  );
  return {
    head,
    overall: rankCorrelation(
      norms,
      norms.map((_, n) => sharpness[n % LEVELS.length]!),
    ),
    withinPicture: mean(pictures.map((picture) => rankCorrelation(picture, sharpness))),
    meanNorms: LEVELS.map((_, level) => mean(pictures.map((picture) => picture[level]!))),
  };
}

/**
 * MagFace on drawn faces, each blurred by its own amount: the length of the embeddings of held-out pictures against their sharpness.
 * Beside it the same backbone untrained, and trained under NormFace.
 */
export async function quality(steps = 1000, log: (line: string) => void = () => {}): Promise<QualityResult> {
  const folder = mkdtempSync(join(tmpdir(), 'hyperarc-quality-'));
  try {
    const root = join(folder, 'faces');
    await writeSynthDataset({ out: root, identities: IDENTITIES, samples: PICTURES, size: SIDE, seed: 31 });
    const random = new Random(33);
    const most = LEVELS.at(-1)!;
    const training = await readPictures(root, 0, PICTURES - HELD_OUT, () => [
      LEVELS[0] + (most - LEVELS[0]) * random.uniform(),
    ]);
    const heldOut = await readPictures(root, PICTURES - HELD_OUT, PICTURES, () => LEVELS);
    const rows = (
      [
        ['untrained', null],
        ['normface', normFace({ scale: 32 })],
        ['magface', magFace({ scale: 32 })],
      ] as const
    ).map(([head, margin]) => {
      const model = new Perceptron([training.inputs, 128, DIM], 3, LAST_GAIN);
      if (margin !== null) {
        const classifier = makeClassifier(margin, IDENTITIES, DIM);
        trainOn(training, model, classifier, { steps, batch: 64, learningRate: 1e-3, seed: 4 });
        classifier.dispose();
      }
      const row = describe(
        head,
        embed(heldOut, model).map((embedding) => Math.hypot(...embedding)),
      );
      model.dispose();
      log(
        `sharpness and ‖x‖, ${head}: rank correlation ${row.overall.toFixed(3)}, ${row.withinPicture.toFixed(3)} within a picture`,
      );
      return row;
    });
    return { rows, pictures: heldOut.labels.length / LEVELS.length, levels: LEVELS };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
