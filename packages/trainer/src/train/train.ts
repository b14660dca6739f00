import { setImmediate } from 'node:timers/promises';

import { HyperArcError } from '@hyperarc/kernels-cuda';

import { CheckpointStore } from '../checkpoint/store.js';
import type { Config } from '../config/index.js';
import type { Batch } from '../data/index.js';
import { arithmeticDifference, arithmeticOf, engineOf } from './arithmetic.js';
import { describeDatasets } from './dataset.js';
import { EarlyStop } from './earlyStop.js';
import { explainFullDisk } from './fullDisk.js';
import { GuardedStep } from './guardedStep.js';
import { Journal } from './journal.js';
import { Progress } from './progress.js';
import type { RunFolder } from './runFolder.js';
import { RunLock } from './runLock.js';
import { scheduleWarnings } from './schedule.js';
import { createSession, ratesAt, type SavedSession, type Session } from './session.js';
import { readSessionState, removeModels, saveModels, writeSession } from './sessionFiles.js';
import type { StepRates } from './step.js';
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

/**
 * Why a run ended: it made all its steps, a signal asked it to (`stop`), what early stopping watches became no better, or its time
 * (`training.maxMinutes`, `maxHours`) was over.
 */
export type RunEnd = 'finished' | 'signal' | 'early-stop' | 'time';

export interface TrainResult {
  /** Updates made, of `totalSteps`; skipped ones count. */
  step: number;
  totalSteps: number;
  /** The newest checkpoint. */
  checkpoint: string;
  /** The one with the best score, if any has one: held-out accuracy where it is verified during training, else the loss. */
  best: string | undefined;
  end: RunEnd;
  /** `end` in words; empty where it finished. */
  reason: string;
  /** The signal that ended it, if one did. */
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
  readonly #startedAt = performance.now();
  readonly #guard: GuardedStep;
  readonly #earlyStop: EarlyStop | undefined;
  #savedStep: number | undefined;
  #checkpoint: string | undefined;
  #lastAccuracy: number | null;
  #madeAStep = false;

  constructor(
    private readonly options: TrainOptions,
    private readonly lock: RunLock,
    private readonly session: Session,
    private readonly store: CheckpointStore,
    private readonly journal: Journal,
    private readonly progress: Progress,
    private readonly verification: PeriodicVerification | undefined,
    private readonly saved: SavedSession | undefined,
  ) {
    const control = saved?.state.control;
    const { earlyStop } = options.config.training;
    this.#guard = new GuardedStep(session, control?.skips);
    this.#earlyStop = earlyStop && new EarlyStop(earlyStop, control?.earlyStop);
    this.#lastAccuracy = control?.accuracy ?? null;
  }

  async loop(): Promise<TrainResult> {
    const { config, run } = this.options;
    const { totalSteps } = this.session.schedule;
    let step = this.saved?.state.step ?? 0;
    this.#savedStep = this.saved?.state.step;
    this.#checkpoint = this.saved?.folder;
    while (step < totalSteps && this.#whyStop() === undefined) {
      const rates = ratesAt(this.session, step);
      const batches = await nextBatches(this.session);
      const result = this.#guard.make(batches, rates, ++step);
      this.#madeAStep = true;
      for (const batch of batches) this.journal.badImages(step, batch);
      if (typeof result === 'string') this.journal.skip(step, this.#guard.counts().total, result);
      else this.journal.add(result);
      const due = (every: number): boolean => (every > 0 && step % every === 0) || step === totalSteps;
      if (due(config.training.logEvery)) this.#log(step, rates);
      if (config.evaluate.every > 0 && due(config.evaluate.every)) await this.#verify(step);
      if (due(config.checkpoint.every)) await this.#save(step);
      // TensorFlow blocks the event loop during a step; signals and decoded images come in here.
      await setImmediate();
    }
    if (this.#savedStep !== step) await this.#save(step);
    this.lock.requireHeld();
    await saveModels(this.session, run.modelPath);
    const { end, reason } = (step < totalSteps && this.#whyStop()) || { end: 'finished' as const, reason: '' };
    const stoppedBy = end === 'signal' ? this.options.stop?.signal : undefined;
    return { step, totalSteps, checkpoint: this.#checkpoint!, best: this.store.best()?.path, end, reason, stoppedBy };
  }

  /** Asked between steps; undefined: go on. */
  #whyStop(): { end: Exclude<RunEnd, 'finished'>; reason: string } | undefined {
    const { maxMinutes, maxHours } = this.options.config.training;
    const signal = this.options.stop?.signal;
    if (signal !== undefined) return { end: 'signal', reason: signal };
    const early = this.#earlyStop?.reason;
    if (early !== undefined) return { end: 'early-stop', reason: early };
    const [budget, unitMs] = maxHours === undefined ? [maxMinutes, 60_000] : [maxHours, 3_600_000];
    // A process makes one step at least: a run that is resumed again and again comes to its end.
    if (budget === undefined || !this.#madeAStep || performance.now() - this.#startedAt < budget * unitMs) {
      return undefined;
    }
    const [unit, key] = maxHours === undefined ? ['minutes', 'maxMinutes'] : ['hours', 'maxHours'];
    return { end: 'time', reason: `${budget} ${unit} are over (training.${key})` };
  }

  #log(step: number, rates: StepRates): void {
    if (!this.journal.log(step, rates, this.session.loader.waitMs)) return;
    this.#earlyStop?.see('loss', this.journal.lastLoss!, step);
  }

  async #verify(step: number): Promise<void> {
    if (this.verification === undefined) return;
    const { verification, session } = this;
    const results = await session.verified(() => verification.run(session.backbone));
    this.#lastAccuracy = verificationScore(results);
    this.journal.evaluation(step, results);
    this.#earlyStop?.see('accuracy', this.#lastAccuracy, step);
  }

  /** The score is the last mean accuracy where sets or held-out identities are verified during training, else the falling loss. */
  async #save(step: number): Promise<void> {
    const { lastLoss: loss } = this.journal;
    const accuracy = this.#lastAccuracy;
    const score = this.verification !== undefined ? accuracy : loss === null ? null : -loss;
    const earlyStop = this.#earlyStop?.state();
    const control = { loss, accuracy, skips: this.#guard.counts(), ...(earlyStop && { earlyStop }) };
    const state = { window: this.journal.windowSums(), control };
    this.lock.requireHeld();
    // Of an earlier end of a run that goes on: no longer its last step's. Before, so that a crash leaves none rather than an old one.
    removeModels(this.options.run.modelPath);
    this.#checkpoint = await this.store.save(step, score, (folder) => writeSession(this.session, folder, step, state));
    this.#savedStep = step;
    const { keepLast, keepBest } = this.options.config.checkpoint;
    this.store.prune({ keepLast, keepBest }, step);
    this.progress.note(`saved ${this.#checkpoint}`);
  }
}

function takeRun(path: string, store: CheckpointStore, log: (line: string) => void): RunLock {
  try {
    return new RunLock(path, log);
  } catch (error) {
    throw explainFullDisk(error, path, store.list().length > 0);
  }
}

/**
 * Trains as configured into a run folder: metrics.jsonl, TensorBoard events, checkpoints, and the backbone as a tfjs model.
 *
 * Resumed, it makes the same updates that the uninterrupted run would have made (bit for bit on the TensorFlow CPU backend, with
 * the same number of processors and instruction set; else it says what differs).
 * @throws HyperArcError E_NONFINITE when training diverges (`training.onNonFinite`), E_FORMAT for a damaged checkpoint, E_RANGE for
 *   other data or a full disk, E_BUSY where another process trains the run, and those of the parts. Checkpoints written before stay.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { config, run, resume, stream } = options;
  const log = (line: string): void => void stream.write(`${line}\n`);
  const store = new CheckpointStore(run.checkpointsPath);
  using lock = takeRun(run.path, store, log);
  const folder = resume && (await store.newest(resume.fallBack, log)).path;
  const saved = folder === undefined ? undefined : { folder, state: readSessionState(folder) };
  const sets = await openTrainingSets(config, log);
  const session = await createSession(config, log, saved);
  let progress: Progress | undefined;
  let journal: Journal | undefined;
  let verification: PeriodicVerification | undefined;
  try {
    log(`data: ${describeDatasets(session.datasets)}`);
    for (const line of scheduleWarnings(session.schedule)) log(line);
    log(`head on ${session.head.centers.device.info.name}: ${engineOf(session)}`);
    if (saved !== undefined) {
      const { state } = saved;
      log(`going on from ${saved.folder} at step ${state.step}`);
      const difference = arithmeticDifference(state.arithmetic, arithmeticOf(session));
      if (difference !== undefined) log(difference);
    }
    verification = PeriodicVerification.of(session.datasets.heldOut, sets, config);
    if (config.training.earlyStop?.on === 'accuracy' && verification === undefined) {
      const fix = 'give data.heldOut or evaluate.sets with evaluate.every, or training.earlyStop.on=loss';
      throw new HyperArcError(
        'E_RANGE',
        `training.earlyStop.on: expected something to verify with accuracy, received none; ${fix}`,
      );
    }
    progress = new Progress(stream, session.schedule.totalSteps);
    const imagesPerStep = config.training.batchSize * config.training.accumulate;
    journal = new Journal(run, session.schedule, imagesPerStep, progress, saved?.state);
    return await new Run(options, lock, session, store, journal, progress, verification, saved).loop();
  } catch (error) {
    throw explainFullDisk(error, run.path, store.list().length > 0);
  } finally {
    progress?.close();
    journal?.close();
    await verification?.close();
    await session.close();
  }
}
