import { MetricsWriter, type BadImageRecord, type SkipRecord, type TrainRecord } from '../metrics/jsonLines.js';
import type { TrainingState } from '../checkpoint/trainingState.js';
import { TensorBoardWriter } from '../metrics/tensorBoard.js';
import type { BadImage } from '../data/index.js';
import type { Progress } from './progress.js';
import type { RunFolder } from './runFolder.js';
import type { Schedule } from './schedule.js';
import type { StepRates, StepResult } from './step.js';
import { verificationLine, type VerificationResult } from './verification.js';
import { Window, type WindowSums } from './window.js';

/** Where a run's numbers go: metrics.jsonl, TensorBoard events and the progress line. */
export class Journal {
  readonly #metrics: MetricsWriter;
  readonly #events: TensorBoardWriter;
  readonly #window: Window;
  readonly #startedAt = performance.now();
  #stepsDone = 0;
  /** At the last line of the log. */
  #last = { at: performance.now(), stepsDone: 0, waitMs: 0 };
  #badImages: number;
  #replacedImages: number;
  /** Mean loss of the last line; null before the first. */
  lastLoss: number | null;

  /**
   * @param imagesPerStep images of one update.
   * @param resumed where a resumed run goes on: steps done, the sums of its open window, the last loss, and bad images.
   */
  constructor(
    run: RunFolder,
    private readonly schedule: Schedule,
    private readonly imagesPerStep: number,
    private readonly progress: Progress,
    resumed?: Pick<TrainingState, 'step' | 'window' | 'control' | 'loader'>,
  ) {
    this.lastLoss = resumed?.control?.loss ?? null;
    this.#metrics = new MetricsWriter(run.metricsPath, resumed?.step ?? 0);
    this.#events = new TensorBoardWriter(run.eventsPath, resumed?.step ?? 0);
    this.#window = new Window(resumed?.window);
    this.#badImages = resumed?.loader.bad?.images.length ?? 0;
    this.#replacedImages = resumed?.loader.bad?.replaced ?? 0;
  }

  add(result: StepResult): void {
    this.#window.add(result);
    this.#stepsDone++;
  }

  /** A step that was not made. @param skipped such steps since the run began. */
  skip(step: number, skipped: number, reason: string): void {
    this.#stepsDone++;
    const record: SkipRecord = { kind: 'skip', step, epoch: step / this.schedule.stepsPerEpoch, skipped, reason };
    this.#metrics.write(record);
    this.#events.scalars(step, { 'train/skipped_steps': skipped });
    this.progress.note(`skipped ${reason}`);
  }

  /** Images of a step's batch that could not be decoded, and how many of the batch stand for such. */
  badImages(step: number, { bad, replaced }: { readonly bad: readonly BadImage[]; readonly replaced: number }): void {
    this.#replacedImages += replaced;
    for (const { reason } of bad) {
      const badImages = ++this.#badImages;
      const epoch = step / this.schedule.stepsPerEpoch;
      const record: BadImageRecord = { kind: 'bad-image', step, epoch, badImages, reason };
      this.#metrics.write(record);
      this.progress.note(`bad image, replaced: ${reason}`);
    }
    if (bad.length > 0) this.#events.scalars(step, { 'data/bad_images': this.#badImages });
  }

  windowSums(): WindowSums {
    return this.#window.sums();
  }

  /**
   * Closes the window with a line.
   * @param step updates made so far.
   * @param waitMs time spent waiting for images so far.
   * @returns false if no step of the window was made: there is no line then.
   */
  log(step: number, rates: StepRates, waitMs: number): boolean {
    if (this.#window.sums().steps === 0) return false;
    const now = performance.now();
    const sinceMs = Math.max(1e-3, now - this.#last.at);
    const record: TrainRecord = {
      kind: 'train',
      step,
      epoch: step / this.schedule.stepsPerEpoch,
      ...this.#window.take(),
      ...rates,
      imagesPerSecond: ((this.#stepsDone - this.#last.stepsDone) * this.imagesPerStep * 1000) / sinceMs,
      dataWaitShare: (waitMs - this.#last.waitMs) / sinceMs,
      stepsDone: this.#stepsDone,
      elapsedMs: now - this.#startedAt,
      ...(this.#replacedImages > 0 && { replacedImages: this.#replacedImages }),
    };
    this.#last = { at: now, stepsDone: this.#stepsDone, waitMs };
    this.lastLoss = record.loss;
    this.#metrics.write(record);
    this.#events.scalars(step, {
      'train/loss': record.loss,
      'train/target_cosine': record.targetCosine,
      'train/learning_rate': record.learningRate,
      'train/head_learning_rate': record.headLearningRate,
      'train/gradient_norm': record.gradientNorm,
      'speed/images_per_second': record.imagesPerSecond,
      'speed/data_wait_share': record.dataWaitShare,
      ...(record.replacedImages !== undefined && { 'data/replaced_images': record.replacedImages }),
    });
    this.progress.update(record);
    return true;
  }

  evaluation(step: number, results: readonly VerificationResult[]): void {
    const epoch = step / this.schedule.stepsPerEpoch;
    for (const result of results) {
      const { set, accuracy, val, xNorm } = result;
      this.#metrics.write({ kind: 'evaluate', step, epoch, ...result });
      const prefix = set === undefined ? 'evaluate' : `evaluate/${set}`;
      this.#events.scalars(step, {
        [`${prefix}/accuracy`]: accuracy,
        [`${prefix}/val`]: val,
        [`${prefix}/xnorm`]: xNorm,
      });
    }
    this.progress.note(`step ${step}: ${verificationLine(results)}`);
  }

  close(): void {
    this.#metrics.close();
    this.#events.close();
  }
}
