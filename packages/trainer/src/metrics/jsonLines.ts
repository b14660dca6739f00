import { closeSync, existsSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';

/** One line of metrics.jsonl, written every `training.logEvery` steps; means are over the steps since the line before. */
export interface TrainRecord {
  kind: 'train';
  /** Updates made so far. */
  step: number;
  epoch: number;
  loss: number;
  /** Mean cosine to the sample's own class centre. */
  targetCosine: number;
  learningRate: number;
  headLearningRate: number;
  /** Global L2 norm of the backbone's gradient before clipping. */
  gradientNorm: number;
  imagesPerSecond: number;
  /** Share of the time spent waiting for images. */
  dataWaitShare: number;
  /** Updates since the run, or its resumption, began. */
  stepsDone: number;
  /** Time since then. */
  elapsedMs: number;
  /** Images of batches that others stood for, since the run began; absent while there was none. */
  replacedImages?: number;
}

/** Verification during training: of the held-out identities, or of one set of `evaluate.sets`. */
export interface EvaluateRecord {
  kind: 'evaluate';
  /** Name of the set, `lfw` of lfw.bin; absent: the held-out identities. */
  set?: string;
  step: number;
  epoch: number;
  /** Mean accuracy over the folds. */
  accuracy: number;
  /** Standard deviation over the folds. */
  accuracyStd: number;
  /** True accept rate at a false accept rate of 1e-3, threshold from the other folds. */
  val?: number;
  /** Mean length of the embeddings before normalising. */
  xNorm?: number;
}

/** A step that was not made, since its numbers were not finite (`training.onNonFinite: skip`). */
export interface SkipRecord {
  kind: 'skip';
  step: number;
  epoch: number;
  /** Steps skipped since the run began, this one included. */
  skipped: number;
  reason: string;
}

/** An image that cannot be decoded (`data.onBadImage: skip`), the first time that a batch should have had it. */
export interface BadImageRecord {
  kind: 'bad-image';
  step: number;
  epoch: number;
  /** Such images since the run began, this one included. */
  badImages: number;
  /** In words, with its name. */
  reason: string;
}

export type MetricsRecord = TrainRecord | EvaluateRecord | SkipRecord | BadImageRecord;

/** Parses metrics.jsonl; a last line cut short by a kill is left out. */
export function readMetrics(path: string): MetricsRecord[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  const whole = lines.slice(0, -1).filter((line) => line !== '');
  return whole.map((line) => JSON.parse(line) as MetricsRecord);
}

/** Appends to metrics.jsonl, one object a line. */
export class MetricsWriter {
  readonly #file: number;

  /** @param resumedStep drops lines of later steps, which the resumed run writes again. */
  constructor(path: string, resumedStep = 0) {
    if (existsSync(path)) {
      const kept = readMetrics(path).filter((record) => record.step <= resumedStep);
      const partial = `${path}.partial`;
      writeFileSync(partial, kept.map((record) => `${JSON.stringify(record)}\n`).join(''));
      renameSync(partial, path);
    }
    this.#file = openSync(path, 'a');
  }

  write(record: MetricsRecord): void {
    writeSync(this.#file, `${JSON.stringify(record)}\n`);
  }

  close(): void {
    closeSync(this.#file);
  }
}
