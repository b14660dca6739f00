import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

/** Sizes that are tried: powers of two, and half-way between. At most what an epoch has eight of, and 1024. */
export function candidateSizes(images: number): number[] {
  const largest = Math.min(1024, Math.floor(images / 8));
  const sizes = [2];
  for (let power = 2; 1.5 * power <= largest; power *= 2) {
    sizes.push(1.5 * power);
    if (2 * power <= largest) sizes.push(2 * power);
  }
  return sizes;
}

/** Bytes of `6GiB`, `800MiB`. */
export function parseMemory(text: string): number {
  return Number(text.slice(0, -3)) * (text.endsWith('GiB') ? 2 ** 30 : 2 ** 20);
}

/** Images of a batch, and the most bytes that tensors took in a step of them. */
export interface MeasuredStep {
  readonly batch: number;
  readonly bytes: number;
}

/** Memory of a training as it depends on the images of a batch; bytes. */
export interface MemoryModel {
  /** The process with its model, its optimizer and its head, before a step. */
  readonly baseBytes: number;
  /** Two steps or more, of ever more images. */
  readonly measured: readonly MeasuredStep[];
  /** The head's own in a step. */
  head(batch: number): number;
  /** Batches that are decoded ahead. */
  ahead(batch: number): number;
}

/**
 * Tensors of a step: straight lines between what was measured, and on along the last. The peak is the largest of many quantities that are each linear in
 * the images, so between two measurements it is not above the line, and beyond the last it may be: look there in small strides.
 */
function tensorBytes(measured: readonly MeasuredStep[], batch: number): number {
  const after = measured.findIndex((step) => step.batch >= batch);
  const end = after < 0 ? measured.length - 1 : Math.max(1, after);
  const [from, to] = [measured[end - 1]!, measured[end]!];
  return from.bytes + ((to.bytes - from.bytes) / (to.batch - from.batch)) * (batch - from.batch);
}

/** What a single step takes at most, by the model. */
export function stepBytes({ baseBytes, measured, head }: MemoryModel, batch: number): number {
  return baseBytes + tensorBytes(measured, batch) + head(batch);
}

/** What a training takes at most, by the model. */
export function plannedBytes(model: MemoryModel, batch: number): number {
  return stepBytes(model, batch) + model.ahead(batch);
}

/**
 * The largest size whose plan is within the limit.
 * @param factor what was found to be taken, as a multiple of the plan; below 1 it counts as 1.
 * @throws HyperArcError E_MEMORY if not even the smallest is.
 */
export function largestFitting(sizes: readonly number[], model: MemoryModel, limitBytes: number, factor = 1): number {
  const needs = (batch: number): number => Math.max(1, factor) * plannedBytes(model, batch);
  const best = sizes.filter((batch) => needs(batch) <= limitBytes).at(-1);
  if (best !== undefined) return best;
  const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  throw new HyperArcError(
    'E_MEMORY',
    `training.batchSize: expected room for ${sizes[0]} images, ${mebibytes(needs(sizes[0]!))}, received a limit of ` +
      `${mebibytes(limitBytes)}; raise training.maxMemory, free memory, or choose a smaller backbone or data.imageSize`,
  );
}
