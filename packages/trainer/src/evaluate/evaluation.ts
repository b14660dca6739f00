import { readFileSync } from 'node:fs';
import { HyperArcError } from '@hyperarc/kernels-cuda';
import { writeAtomically } from '../files.js';
import type { Environment } from './environment.js';
import { embedImages, type EmbeddingModel, type ImageLoader } from './embed.js';
import {
  imagesOfPairs,
  meanNorm,
  pairSimilarities,
  similarityHistogram,
  worstPairs,
  type ImagePair,
  type ScoredPair,
  type SimilarityHistogram,
} from './pairs.js';
import { thinCurve } from './roc.js';
import { formatSets } from './sets/formatSets.js';
import { alignColumns, percent, powerOfTen } from './textTable.js';
import { verify, type Verification } from './verify.js';

/** How one model did. The curve is thinned for the file; every figure comes from the full one. */
export interface ModelEvaluation extends Omit<Verification, 'roc'> {
  /** For example "raw pixels", "untrained", "trained". */
  name: string;
  roc: { far: number[]; tar: number[] };
  /** InsightFace's XNorm: mean length of the embeddings of all the pairs' images and their mirror images, before normalising. */
  xNorm?: number;
  histogram: SimilarityHistogram;
}

/** Some pairs, and how each model did on them. */
export interface SetEvaluation {
  /** Of a verification set: `lfw` of lfw.bin. */
  name?: string;
  /** What was verified, in words: the data folder and which identities. */
  data: string;
  /** Folder that the paths of the worst pairs are relative to; of a verification set, its file. */
  root: string;
  images: number;
  /** In the order given; the last is the one the report is about. */
  models: ModelEvaluation[];
  /** Of the last model. */
  worst: { falseRejects: ScoredPair[]; falseAccepts: ScoredPair[] };
}

/** Contents of evaluation.json: the pairs that were verified first, and those of further sets. */
export interface Evaluation extends SetEvaluation {
  format: 'hyperarc-evaluation-1';
  /** ISO 8601. */
  createdAt: string;
  imageSize: number;
  flip: boolean;
  /** Updates that a run had made; absent for a model folder, and where the run had no checkpoint. */
  step?: number;
  /** Of the process that evaluated. */
  environment?: Environment;
  /** What was verified after the first, in order. */
  furtherSets?: SetEvaluation[];
}

/** Everything that was verified, in order. */
export function setsOf(evaluation: Evaluation): SetEvaluation[] {
  return [evaluation, ...(evaluation.furtherSets ?? [])];
}

/**
 * Says so where a run has gone on since it was evaluated: its figures are then not those of its weights.
 * @param reached what the run has of its steps: lines of metrics, checkpoints.
 */
export function outdated({ step }: Evaluation, reached: readonly { readonly step: number }[]): string | undefined {
  const last = reached.reduce((most, one) => Math.max(most, one.step), 0);
  if (step === undefined || last <= step) return undefined;
  return `evaluated at step ${step}, the run has gone on to step ${last} since: hyperarc evaluate makes it anew`;
}

export interface EvaluateOptions {
  pairs: readonly ImagePair[];
  /** Models by name; the last is the one the report is about. */
  models: Readonly<Record<string, EmbeddingModel>>;
  imageSize: number;
  load: ImageLoader;
  /** What is verified, in words. */
  data: string;
  /** Of a verification set. */
  name?: string;
  /** Folder that the pairs' paths are relative to; `load` knows it. Kept for the report's pictures. Default ".". */
  root?: string;
  batchSize?: number;
  flip?: boolean;
  /** Pairs kept of each kind of error. Default 8. */
  worstCount?: number;
  environment?: Environment;
  onProgress?: (model: string, done: number, total: number) => void;
}

const CURVE_POINTS = 400;

/** Verifies the pairs with every model. Errors: those of {@link embedImages} and {@link verify}. */
export async function evaluatePairs(options: EvaluateOptions): Promise<Evaluation> {
  const { pairs, imageSize, load, data, root = '.', batchSize = 64, flip = true, worstCount = 8, onProgress } = options;
  const images = imagesOfPairs(pairs);
  const same = pairs.map((pair) => pair.same);
  const folds = pairs.map((pair) => pair.fold);
  const evaluation: Evaluation = {
    format: 'hyperarc-evaluation-1',
    createdAt: new Date().toISOString(),
    ...(options.name !== undefined && { name: options.name }),
    data,
    root,
    images: images.length,
    imageSize,
    flip,
    models: [],
    ...(options.environment && { environment: options.environment }),
    worst: { falseRejects: [], falseAccepts: [] },
  };
  for (const [name, model] of Object.entries(options.models)) {
    const embeddings = await embedImages(model, images, {
      imageSize,
      load,
      batchSize,
      flip,
      ...(onProgress && { onProgress: (done, total) => onProgress(name, done, total) }),
    });
    const similarities = pairSimilarities(embeddings, pairs);
    const { roc, ...figures } = verify(similarities, same, folds);
    const { far, tar } = thinCurve(roc, CURVE_POINTS);
    evaluation.models.push({
      name,
      ...figures,
      xNorm: meanNorm(embeddings, pairs),
      roc: { far, tar },
      histogram: similarityHistogram(similarities, same),
    });
    evaluation.worst = worstPairs(similarities, pairs, worstCount);
  }
  return evaluation;
}

/** Writes evaluation.json whole or not at all. */
export function writeEvaluation(path: string, evaluation: Evaluation): void {
  writeAtomically(path, `${JSON.stringify(evaluation, null, 1)}\n`);
}

/** @throws HyperArcError E_FORMAT if the file is not an evaluation of this format */
export function readEvaluation(path: string): Evaluation {
  const text = readFileSync(path, 'utf8');
  let value: Partial<Evaluation> | null = null;
  try {
    value = JSON.parse(text) as Partial<Evaluation> | null;
  } catch {
    // Answered below: what is not JSON is not an evaluation.
  }
  if (value?.format !== 'hyperarc-evaluation-1' || !Array.isArray(value.models)) {
    throw new HyperArcError(
      'E_FORMAT',
      `${path}: expected an evaluation of format hyperarc-evaluation-1; run hyperarc evaluate again`,
    );
  }
  return value as Evaluation;
}

/** The figures as lines of text: one row a model, and for verification sets one row a set. */
export function formatEvaluation(evaluation: Evaluation): string {
  const sets = setsOf(evaluation);
  const parts = sets.filter(({ name }) => name === undefined).map(formatModels);
  const named = sets.filter(({ name }) => name !== undefined);
  if (named.length > 0) parts.push(formatSets(named).join('\n'));
  return parts.join('\n\n');
}

function formatModels(evaluation: SetEvaluation): string {
  const first = evaluation.models[0];
  if (first === undefined) return `${evaluation.data}: no model`;
  const header = [
    'model',
    'accuracy %',
    `VAL@${powerOfTen(first.val.farTarget)} %`,
    'AUC',
    'EER %',
    ...first.tarAtFar.map((entry) => `TAR@${powerOfTen(entry.far)} %`),
  ];
  const rows = evaluation.models.map((model) => [
    model.name,
    `${percent(model.accuracy.mean)} ± ${percent(model.accuracy.std)}`,
    `${percent(model.val.mean)} ± ${percent(model.val.std)}`,
    model.auc.toFixed(4),
    percent(model.eer),
    ...model.tarAtFar.map((entry) => (entry.tar === null ? 'n/a' : percent(entry.tar))),
  ]);
  const notes = first.tarAtFar.flatMap(({ far, note }) =>
    note === undefined ? [] : [`n/a: TAR@${powerOfTen(far)} ${note}`],
  );
  const { samePairs, differentPairs } = first;
  return [
    `${evaluation.data}: ${samePairs} same and ${differentPairs} different pairs of ${evaluation.images} images`,
    ...alignColumns([header, ...rows]),
    ...notes,
  ].join('\n');
}
