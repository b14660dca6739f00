import { HyperArcError } from '@hyperarc/kernels-cuda';
import * as tf from '@tensorflow/tfjs-core';

import { withBatchSize, type Config, type ConfigRequest } from '../config/index.js';
import { candidateSizes, largestFitting, parseMemory, plannedBytes, stepBytes, type MemoryModel } from './batchPlan.js';
import { createSession, type Session } from './session.js';
import { trainStep, type MicroBatch } from './step.js';

/** The process's own size is rounded up to this, so that a few megabytes more or less choose no other batch. */
const BASE_GRAIN = 64 * 2 ** 20;
const FLOAT_BYTES = 4;
/** Images of the two steps that are measured first, whatever the limit. */
const FIRST = [2, 3] as const;
/** Share of the free memory that is used where no limit is given. */
const FREE_SHARE = 0.8;
/** Images of an update that the rates of most recipes were chosen for: the default batch. */
const USUAL_BATCH = 128;

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;

/** Most that this process has had in memory, bytes. */
const peakResidentBytes = (): number => process.resourceUsage().maxRSS * 1024;

/** Images of noise: what is in them costs nothing. */
function trialBatch({ config, datasets }: Session, batch: number): MicroBatch {
  const { imageSize } = config.data;
  const classes = datasets.train.identities.length;
  const labels = Int32Array.from({ length: batch }, (_, i) => i % classes);
  const images = new Float32Array(batch * imageSize * imageSize * 3).map((_, i) => Math.sin(i));
  return { images, labels, indices: labels };
}

/** Makes one step with rates of 0. @returns the most bytes that tensors took in it, above what they took before. */
export async function trialStep(session: Session, batch: number): Promise<number> {
  const before = tf.memory().numBytes;
  const batches = Array<MicroBatch>(Math.min(2, session.config.training.accumulate)).fill(trialBatch(session, batch));
  const { peakBytes } = await tf.profile(() => {
    trainStep(session.parts, batches, { learningRate: 0, headLearningRate: 0 }, 1);
    return [];
  });
  return peakBytes - before;
}

/** A model of two small steps; one before them makes what stays, as the optimizer's velocities. */
export async function measure(session: Session): Promise<MemoryModel> {
  const { head, config } = session;
  const resident = process.memoryUsage.rss() - tf.memory().numBytes;
  await trialStep(session, FIRST[0]);
  const baseBytes = Math.ceil((resident + tf.memory().numBytes) / BASE_GRAIN) * BASE_GRAIN;
  const measured = [];
  for (const batch of FIRST) measured.push({ batch, bytes: await trialStep(session, batch) });
  const onHost = head.centers.device.info.kind === 'cpu';
  const inStep = (batch: number) => head.plan(batch).parts.filter(({ persistent }) => !persistent);
  // Decoded bytes, and the floats made of them.
  const imageBytes = config.data.imageSize ** 2 * 3 * (1 + FLOAT_BYTES);
  return {
    baseBytes,
    measured,
    head: (batch) => (onHost ? inStep(batch).reduce((sum, { bytes }) => sum + bytes, 0) : 0),
    ahead: (batch) => (config.data.prefetch + 1) * batch * imageBytes,
  };
}

/**
 * Makes steps of ever more images, each at most twice the one before, until the largest that fits has been made.
 * @returns the size, and in words how it came about.
 */
async function choose(
  session: Session,
  sizes: readonly number[],
  limit: number,
): Promise<{ batch: number; told: string }> {
  let model = await measure(session);
  let largest: number = FIRST[1];
  /** What is resident, over what the model has: backends take more than tensors. */
  let factor = peakResidentBytes() / stepBytes(model, largest);
  let batch = largestFitting(sizes, model, limit, factor);
  while (batch > largest) {
    largest = sizes.filter((size) => size <= Math.min(batch, 2 * largest)).at(-1)!;
    const bytes = await trialStep(session, largest);
    model = { ...model, measured: [...model.measured, { batch: largest, bytes }] };
    // The peak is that of the process's whole life, so of the largest step that it has made.
    factor = Math.max(factor, peakResidentBytes() / stepBytes(model, largest));
    batch = largestFitting(sizes, model, limit, factor);
  }
  const next = sizes[sizes.indexOf(batch) + 1];
  const more =
    next === undefined
      ? 'no more is taken than an eighth of the images, or 1024'
      : `${next} would take ${gibibytes(Math.max(1, factor) * plannedBytes(model, next))}`;
  const found = batch === largest ? `, a step measured at ${gibibytes(peakResidentBytes())}` : '';
  const plan = gibibytes(Math.max(1, factor) * plannedBytes(model, batch));
  return { batch, told: `batch size ${batch}: ${plan} of ${gibibytes(limit)}${found}; ${more}` };
}

/**
 * Finds the number of `training.batchSize: auto`: the largest of 2, 3, 4, 6, 8, 12, … whose training fits in `training.maxMemory`, or in
 * four fifths of the memory that is free. Steps are made with noise for images and rates of 0, on a model that is thrown away: of 2 and
 * 3 images, then of twice as many for as long as the line through the last two stays below the limit. The plan is the process, the most
 * that tensors take, the head's own and the batches decoded ahead; where more is resident than planned, the plan grows with it. The
 * learning rate stays as it is; `log` is told what linear scaling would make of it.
 *
 * Tensors are counted, so the same limit on the same machine gives the same number, unless more was resident than planned.
 *
 * @returns the configuration with the number in it; at once if it had one.
 * @throws HyperArcError E_MEMORY if not even 2 images fit; E_DEVICE on a GPU, whose memory cannot be measured like that; E_RANGE for a
 *   dataset of fewer than 16 images; those of createSession.
 */
export async function settleBatchSize(request: ConfigRequest, log: (line: string) => void): Promise<Config> {
  const { batchSize, maxMemory, accumulate } = request.training;
  if (batchSize !== 'auto') return withBatchSize(request, batchSize);
  const free = process.availableMemory();
  const limit = maxMemory === undefined ? process.memoryUsage.rss() + FREE_SHARE * free : parseMemory(maxMemory);
  log(`batch size auto: trying what fits in ${gibibytes(limit)}`);
  const session = await createSession(withBatchSize(request, FIRST[0]), log);
  try {
    if (session.backend.usesGpu === true) {
      throw new HyperArcError(
        'E_DEVICE',
        'training.batchSize: auto measures the memory of the host, received TensorFlow on a GPU; give a number',
      );
    }
    const images = session.datasets.train.labels.length;
    if (images < 16) {
      throw new HyperArcError('E_RANGE', `training.batchSize: auto takes 16 images at least, received ${images}`);
    }
    const { batch, told } = await choose(session, candidateSizes(images), limit);
    log(told);
    const update = batch * accumulate;
    const { learningRate } = request.optimizer;
    if (update !== USUAL_BATCH) {
      const scaled = Number(((learningRate * update) / USUAL_BATCH).toPrecision(3));
      log(
        `optimizer.learningRate stays ${learningRate}; if it was chosen for ${USUAL_BATCH} images an update, linear scaling has ${scaled} for ${update}`,
      );
    }
    return withBatchSize(request, batch);
  } finally {
    await session.close();
  }
}
