import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type * as tf from '@tensorflow/tfjs-core';
import { readLabels, type Labels } from '../checks.js';
import { checkNumber, checkOptions, fail } from '../specs/check-options.js';
import { centersOf, readEmbeddings, samplesOfBlock, type CenterSource, type HeadWithCenters } from './center-source.js';
import { indicesWhere } from './indices-where.js';

/** Embeddings [B, D] with their class indices [B]. */
export interface LabelledBatch {
  readonly embeddings: tf.Tensor;
  readonly labels: Labels;
}

export interface SubCenterReportOptions {
  /** Samples within this angle of their class's dominant sub-centre are kept, degrees in [0, 180]; default 75. */
  readonly maxAngleDegrees?: number;
}

/** What sub-centres say of a labelled set. Samples [N] are in the order in which they came. Angles are in degrees. */
export interface SubCenterReport {
  readonly classes: number;
  readonly subCenters: number;
  readonly maxAngleDegrees: number;
  /** [N] the labels that came */
  readonly labels: Int32Array;
  /** [N] which sub-centre of its class is nearest to the sample; ties to the lowest */
  readonly winner: Int32Array;
  /** [N] angle to that one */
  readonly winnerAngle: Float32Array;
  /** [C] the sub-centre that is nearest for most of the class's samples, ties to the lowest; −1 for a class without samples */
  readonly dominant: Int32Array;
  /** [N] angle to the dominant sub-centre of the sample's class */
  readonly dominantAngle: Float32Array;
  /** [N] 1 where dominantAngle ≤ maxAngleDegrees, else 0 */
  readonly keep: Uint8Array;
  /** [C] number of kept samples */
  readonly keptOfClass: Int32Array;
  /** Classes without a kept sample, ascending */
  readonly emptyClasses: Int32Array;
}

/**
 * Finds label noise by sub-centres: a head trained with K > 1 gathers the clean samples of a class around one dominant sub-centre and
 * leaves the noise to the others. Deng et al., "Sub-center ArcFace", ECCV 2020, §3.3: the dominant sub-centre is the one with most of the
 * class's samples, and samples farther than 75° from it are dropped; {@link dropNoise} then gives the cleaned set.
 *
 * Holds 4·K bytes a sample and K a class, and reads from the centres only the rows of each batch's classes, 64 MiB at a time. With K = 1
 * it reports angles to the class centre.
 *
 * @param head a `MarginHead`, a `PartialFC`, or any `{ centers }`, with centres of every class
 * @param batches any number of batches, synchronous or not; a batch's tensors stay the caller's
 * @throws HyperArcError E_SHAPE, E_DTYPE, E_RANGE, E_NONFINITE, E_DISPOSED; E_BUSY while the engine's centres are in use.
 */
export async function subCenterReport(
  head: HeadWithCenters,
  batches: Iterable<LabelledBatch> | AsyncIterable<LabelledBatch>,
  options: SubCenterReportOptions = {},
): Promise<SubCenterReport> {
  checkOptions('subCenterReport', options, ['maxAngleDegrees']);
  const { maxAngleDegrees = 75 } = options;
  if (!isIterable(batches)) {
    fail(
      'batches',
      'an array or another iterable of { embeddings, labels }',
      batches,
      'put a single batch in an array',
    );
  }
  checkNumber('maxAngleDegrees', maxAngleDegrees, { low: 0, high: 180 });
  const source = centersOf(head);
  const { classes, subCenters, dim } = source;
  if (source.globalClasses !== classes) {
    const received = `${classes} of ${source.globalClasses}`;
    throw new HyperArcError('E_RANGE', `head: expected centres of every class, received ${received}`);
  }

  const [labelParts, angleParts]: [Int32Array[], Float32Array[]] = [[], []];
  for await (const { embeddings, labels } of batches) {
    const points = await readEmbeddings(embeddings, dim);
    const labelsB = readLabels(labels, points.length / dim, classes);
    labelParts.push(labelsB);
    angleParts.push(await anglesToOwn(source, points, labelsB));
  }
  const labels = joined(labelParts, (count) => new Int32Array(count));
  const angles = joined(angleParts, (count) => new Float32Array(count));

  const winner = labels.map((_, i) => indexOfExtreme(angles, i * subCenters, subCenters, -1));
  const votes = new Int32Array(classes * subCenters);
  labels.forEach((label, i) => (votes[label * subCenters + winner[i]!]! += 1));
  const dominant = Int32Array.from({ length: classes }, (_, j) => {
    const most = indexOfExtreme(votes, j * subCenters, subCenters, 1);
    return votes[j * subCenters + most]! > 0 ? most : -1;
  });

  const winnerAngle = Float32Array.from(winner, (k, i) => angles[i * subCenters + k]!);
  const dominantAngle = Float32Array.from(labels, (label, i) => angles[i * subCenters + dominant[label]!]!);
  const keep = Uint8Array.from(dominantAngle, (angle) => Number(angle <= maxAngleDegrees));
  const keptOfClass = new Int32Array(classes);
  labels.forEach((label, i) => (keptOfClass[label]! += keep[i]!));
  const emptyClasses = indicesWhere(keptOfClass, (count) => count === 0);
  return {
    ...{ classes, subCenters, maxAngleDegrees, labels, winner, winnerAngle, dominant, dominantAngle, keep },
    ...{ keptOfClass, emptyClasses },
  };
}

function isIterable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && (Symbol.iterator in value || Symbol.asyncIterator in value);
}

/** Angle of each sample to each sub-centre of its class [B, K], degrees, computed in float64. */
async function anglesToOwn(source: CenterSource, points: Float32Array, labels: Int32Array): Promise<Float32Array> {
  const { subCenters, dim } = source;
  const angles = new Float32Array(labels.length * subCenters);
  const block = samplesOfBlock(subCenters * dim);
  for (let start = 0; start < labels.length; start += block) {
    const ofBlock = labels.subarray(start, start + block);
    const numbers = new Float64Array(ofBlock.length * subCenters);
    numbers.forEach((_, n) => (numbers[n] = ofBlock[Math.floor(n / subCenters)]! * subCenters + (n % subCenters)));
    const rows = await source.rows(numbers);
    for (let n = 0; n < numbers.length; n++) {
      const point = (start + Math.floor(n / subCenters)) * dim;
      angles[start * subCenters + n] = angleDegrees(points, point, rows, n * dim, dim);
    }
  }
  return angles;
}

/** Below this length a vector counts as zero, and is at 90° to everything (docs/numerics.md, "Unit vectors"). */
const ZERO_NORM = 1e-12;

function angleDegrees(a: Float32Array, aStart: number, b: Float32Array, bStart: number, dim: number): number {
  let [dot, aSquared, bSquared] = [0, 0, 0];
  for (let d = 0; d < dim; d++) {
    const [x, y] = [a[aStart + d]!, b[bStart + d]!];
    dot += x * y;
    aSquared += x * x;
    bSquared += y * y;
  }
  const [aLength, bLength] = [Math.sqrt(aSquared), Math.sqrt(bSquared)];
  if (aLength < ZERO_NORM || bLength < ZERO_NORM) return 90;
  const cosine = dot / (aLength * bLength);
  return (Math.acos(Math.min(1, Math.max(-1, cosine))) * 180) / Math.PI;
}

/** Offset of the largest (sign 1) or smallest (sign −1) of `count` values from `start` on; ties to the lowest. */
function indexOfExtreme(values: Float32Array | Int32Array, start: number, count: number, sign: 1 | -1): number {
  let best = 0;
  for (let k = 1; k < count; k++) if (sign * values[start + k]! > sign * values[start + best]!) best = k;
  return best;
}

function joined<T extends Int32Array | Float32Array>(parts: readonly T[], make: (count: number) => T): T {
  const result = make(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}
