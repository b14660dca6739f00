import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ReferenceRule, ReferenceStep } from '../../dist/reference/index.js';
import { centerGradient, forward, unit } from '../../dist/reference/index.js';
import { expectClose } from './support.js';

interface HeadCase {
  name: string;
  rule: ReferenceRule;
  subCenters?: number;
  /** [B, 4] */
  rowParameters?: number[];
  /** [B, 4]: d(s, m1, m2, m3)/d‖x‖, where the gradient flows through the norm. */
  rowByNorm?: number[];
  loss: number;
  /** [B] */
  sampleLoss?: number[];
  /** [B, D], through the norm too */
  embeddingGradient: number[];
  /** [C, K, D] */
  centerGradient: number[];
  /** [B, 4] */
  rowGradient?: number[];
}

/** Written by vectors/make_head_vectors.py with PyTorch's autograd. */
interface HeadVectors {
  versions: Record<string, string>;
  classes: number;
  dim: number;
  labels: number[];
  /** By K. */
  problems: Record<string, { embeddings: number[]; centers: number[] }>;
  cases: HeadCase[];
}
const vectors = JSON.parse(readFileSync(new URL('../vectors/heads.json', import.meta.url), 'utf8')) as HeadVectors;
const { classes, dim, labels } = vectors;

function run({ rule, subCenters = 1, rowParameters }: HeadCase) {
  const { embeddings, centers: weights } = vectors.problems[subCenters]!;
  const centers = { classes, subCenters, dim, firstClass: 0, weights };
  return { centers, step: forward([centers], { embeddings, labels, rule, rowParameters }) };
}

/** dX of rows that follow the norm: what they move along x̂ comes on top. */
function throughNorm({ batch, embeddingGradient, rowGradient }: ReferenceStep, rowByNorm: number[] | undefined) {
  if (!rowByNorm) return embeddingGradient;
  return embeddingGradient.map((value, e) => {
    const i = Math.floor(e / dim);
    const direction = unit(Array.from({ length: dim }, (_, d) => batch.embeddings[i * dim + d]!));
    const byNorm = [0, 1, 2, 3].reduce((sum, n) => sum + rowGradient[4 * i + n]! * rowByNorm[4 * i + n]!, 0);
    return value + byNorm * direction[e % dim]!;
  });
}

describe(`heads by autograd (PyTorch ${vectors.versions['torch']})`, () => {
  it.each(vectors.cases)('$name', (one) => {
    const { centers, step } = run(one);
    expect(step.loss).toBeCloseTo(one.loss, 11);
    if (one.sampleLoss) expectClose(step.sampleLoss, one.sampleLoss, 1e-11);
    expectClose(throughNorm(step, one.rowByNorm), one.embeddingGradient, 1e-10);
    expectClose(centerGradient(centers, [step]), one.centerGradient, 1e-10);
    if (one.rowGradient) expectClose(step.rowGradient, one.rowGradient, 1e-10);
  });

  const withNegatives = vectors.cases.filter(({ rule }) => rule.negatives);
  it.each(withNegatives)('$name: negatives on both sides of the threshold, none near it', (one) => {
    const { step } = run(one);
    const { threshold } = one.rule.negatives!;
    const distances = step.shards[0]!.negatives.flatMap((ofSample, i) =>
      ofSample.map(({ cosine }) => cosine - (threshold === 'target' ? step.targetThreshold[i]! : threshold)),
    );
    expect(distances.filter((distance) => distance > 0).length).toBeGreaterThan(3);
    expect(distances.filter((distance) => distance < 0).length).toBeGreaterThan(3);
    expect(Math.min(...distances.map(Math.abs))).toBeGreaterThan(1e-6);
  });

  it('stand on every piece of their target logits', () => {
    const caseOf = (name: string) => vectors.cases.find((one) => one.name === name)!;
    const thetasOf = (name: string) => Array.from(run(caseOf(name)).step.targetCosine, Math.acos);
    // θ + m > π, and SphereFace's first and last of four pieces.
    expect(Math.max(...thetasOf('CurricularFace, t 0.35 before'))).toBeGreaterThan(Math.PI - 0.5);
    expect(Math.min(...thetasOf('SphereFace, m 4'))).toBeLessThan(Math.PI / 4);
    expect(Math.max(...thetasOf('SphereFace, m 4'))).toBeGreaterThan((3 * Math.PI) / 4);
    // AdaFace clamps some angle at either end, and moves others.
    const adaFace = caseOf('AdaFace');
    const phis = thetasOf('AdaFace').map((theta, i) => theta + adaFace.rowParameters![4 * i + 2]!);
    expect(phis.some((phi) => phi < 1e-3) && phis.some((phi) => phi > Math.PI - 1e-3)).toBe(true);
    // MagFace's norms lie below, within and above its bounds: those outside have no gradient.
    const norms = caseOf('MagFace, hard margin').rowByNorm!.filter((_, e) => e % 4 === 2);
    expect(norms.includes(0) && norms.some((slope) => slope > 0)).toBe(true);
  });
});
