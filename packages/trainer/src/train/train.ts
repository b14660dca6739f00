import { setImmediate } from 'node:timers/promises';

import { CheckpointStore } from '../checkpoint/store.js';
import type { Config } from '../config/index.js';
import type { Batch } from '../data/index.js';
import { arithmeticDifference, arithmeticOf, engineOf } from './arithmetic.js';
import { Journal } from './journal.js';
import { Progress } from './progress.js';
import type { RunFolder } from './runFolder.js';
import { createSession, ratesAt, type SavedSession, type Session } from './session.js';
import { readSessionState, saveModels, writeSession } from './sessionFiles.js';
import { trainStep } from './step.js';
import { openTrainingSets, PeriodicVerification, verificationScore } from './verification.js';

export interface TrainOptions {
  config: Config;
  run: RunFolder;
  /** Go on from the run's newest checkpoint; `fallBack` passes over damaged ones. */
  resume?: { fallBack: boolean };
  /** Where progress is written. */
  stream: NodeJS.WritableStream & { isTTY?: boolean; columns?: number };
  /** Asked after every step; a signal ends the run after a checkpoint. */
  stop?: { readonly signal: NodeJS.Signals | undefined };
}

export interface TrainResult {
  /** Updates made, of `totalSteps`. */
  step: number;
  totalSteps: number;
  /** The newest checkpoint. */
  checkpoint: string;
  /** Why the run ended early, if it did. */
  stoppedBy: NodeJS.Signals | undefined;
}

/** Micro-batches of one update. */
async function nextBatches({ loader, config }: Session): Promise<Batch[]> {
  const batches: Batch[] = [];
  for (let i = 0; i < config.training.accumulate; i++) batches.push(await loader.next());
  return batches;
}

/** The loop, on a new session or one that stands where `saved` was written. */
class Run {
  #savedStep: number | undefined;
  #checkpoint: string | undefined;
  #lastAccuracy: number | null = null;

  constructor(
    private readonly options: TrainOptions,
    private readonly session: Session,
    private readonly store: CheckpointStore,
    private readonly journal: Journal,
    private readonly progress: Progress,
    private readonly verification: PeriodicVerification | undefined,
  ) {}

  async loop(saved: SavedSession | undefined): Promise<TrainResult> {
    const { stop, config } = this.options;
    const { totalSteps } = this.session.schedule;
    let step = saved?.state.step ?? 0;
    this.#savedStep = saved?.state.step;
    this.#checkpoint = saved?.folder;
    while (step < totalSteps && stop?.signal === undefined) {
      const rates = ratesAt(this.session, step);
      this.journal.add(trainStep(this.session.parts, await nextBatches(this.session), rates, step + 1));
      step++;
      const due = (every: number): boolean => (every > 0 && step % every === 0) || step === totalSteps;
      if (due(config.training.logEvery)) this.journal.log(step, rates, this.session.loader.waitMs);
      if (config.evaluate.every > 0 && due(config.evaluate.every)) await this.#verify(step);
      if (due(config.checkpoint.every)) await this.#save(step);
      // TensorFlow blocks the event loop during a step; signals and decoded images come in here.
      await setImmediate();
    }
    if (this.#savedStep !== step) await this.#save(step);
    await saveModels(this.session, this.options.run.modelPath);
    const stoppedBy = step < totalSteps ? stop?.signal : undefined;
    return { step, totalSteps, checkpoint: this.#checkpoint!, stoppedBy };
  }

  async #verify(step: number): Promise<void> {
    if (this.verification === undefined) return;
    const { verification, session } = this;
    const results = await session.verified(() => verification.run(session.backbone));
    this.#lastAccuracy = verificationScore(results);
    this.journal.evaluation(step, results);
  }

  /** The score is the last mean accuracy where sets or held-out identities are verified during training, else the falling loss. */
  async #save(step: number): Promise<void> {
    const { lastLoss } = this.journal;
    const score = this.verification === undefined ? (lastLoss === undefined ? null : -lastLoss) : this.#lastAccuracy;
    const window = this.journal.windowSums();
    this.#checkpoint = await this.store.save(step, score, (folder) => writeSession(this.session, folder, step, window));
    this.#savedStep = step;
    this.store.prune(this.options.config.checkpoint.keepLast, step);
    this.progress.note(`saved ${this.#checkpoint}`);
  }
}

/**
 * Trains as configured into a run folder: metrics.jsonl, TensorBoard events, checkpoints, and the backbone as a tfjs model.
 *
 * Resumed, it makes the same updates that the uninterrupted run would have made (bit for bit on the TensorFlow CPU backend, with
 * the same number of processors and instruction set; else it says what differs).
 * @throws HyperArcError E_NONFINITE when training diverges, E_FORMAT for a damaged checkpoint, E_RANGE for other data, and
 *   those of the parts. Checkpoints written before stay.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { config, run, resume, stream } = options;
  const log = (line: string): void => void stream.write(`${line}\n`);
  const store = new CheckpointStore(run.checkpointsPath);
  const folder = resume && (await store.newest(resume.fallBack, log)).path;
  const saved = folder === undefined ? undefined : { folder, state: readSessionState(folder) };
  const sets = await openTrainingSets(config, log);
  const session = await createSession(config, log, saved);
  let progress: Progress | undefined;
  let journal: Journal | undefined;
  let verification: PeriodicVerification | undefined;
  try {
    log(`head on ${session.head.centers.device.info.name}: ${engineOf(session)}`);
    if (saved !== undefined) {
      const { state } = saved;
      log(`going on from ${saved.folder} at step ${state.step}`);
      const difference = arithmeticDifference(state.arithmetic, arithmeticOf(session));
      if (difference !== undefined) log(difference);
    }
    verification = PeriodicVerification.of(session.datasets.heldOut, sets, config);
    progress = new Progress(stream, session.schedule.totalSteps);
    const imagesPerStep = config.training.batchSize * config.training.accumulate;
    journal = new Journal(run, session.schedule, imagesPerStep, progress, saved?.state);
    return await new Run(options, session, store, journal, progress, verification).loop(saved);
  } finally {
    progress?.close();
    journal?.close();
    await verification?.close();
    await session.close();
  }
}
