import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import * as tf from '@tensorflow/tfjs-core';
import { checkEmbeddings, classCosines, shapeOfCenters, type Centers } from '../class-cosines.js';

/** Bytes of the largest block of cosines or of centres that inference holds, unless one sample takes more. */
const BLOCK_BYTES = 64 * 2 ** 20;

/** What inference asks of the engine's `ClassCenters`; as a shape alone, so that nothing native is loaded here. */
export interface EngineCenters {
  readonly shape: readonly [classes: number, subCenters: number, dim: number];
  readonly config: { readonly firstClass: number; readonly globalClasses: number };
  logitsAsync(embeddings: Float32Array): Promise<Float32Array>;
  readRowsAt(buffer: 'weights', rows: Float64Array): Float32Array;
}

/** A `MarginHead`, a `PartialFC`, or anything else with class centres: a tensor [C, D] or [C, K, D], or the engine's. */
export interface HeadWithCenters {
  readonly centers: Centers | EngineCenters;
}

/** Class centres, wherever they live. */
export interface CenterSource {
  readonly classes: number;
  readonly subCenters: number;
  readonly dim: number;
  /** Class number of the first centre, and how many classes all shards together have. */
  readonly firstClass: number;
  readonly globalClasses: number;
  /** Numbers that the cosines of one sample take while they are computed. */
  readonly cosineColumns: number;
  /** Cosines [b, C], the best of K, of points [b, D]. */
  cosines(points: Float32Array): Promise<Float32Array>;
  /** Rows class·K + k [n, D] as they are stored. */
  rows(numbers: Float64Array): Promise<Float32Array>;
}

function ofEngine(centers: EngineCenters): CenterSource {
  const [classes, subCenters, dim] = centers.shape;
  const { firstClass, globalClasses } = centers.config;
  return {
    ...{ classes, subCenters, dim, firstClass, globalClasses, cosineColumns: classes },
    cosines: (points) => centers.logitsAsync(points),
    rows: (numbers) => Promise.resolve(centers.readRowsAt('weights', numbers)),
  };
}

function ofTensor(centers: Centers): CenterSource {
  const shape = shapeOfCenters(centers);
  if (centers.isDisposed)
    throw new HyperArcError('E_DISPOSED', 'centers: expected live centres, received ones that were disposed');
  const { classes, subCenters, dim } = shape;
  const numbersOf = async (work: () => tf.Tensor) => {
    const tensor = tf.tidy(work);
    const values = await tensor.data<'float32'>();
    tensor.dispose();
    return values;
  };
  return {
    ...{ ...shape, firstClass: 0, globalClasses: classes, cosineColumns: classes * subCenters },
    cosines: (points) => numbersOf(() => classCosines(tf.tensor2d(points, [points.length / dim, dim]), centers)),
    rows: (numbers) =>
      numbersOf(() => tf.gather(tf.reshape(centers, [-1, dim]), tf.tensor1d(Int32Array.from(numbers), 'int32'))),
  };
}

/** @throws HyperArcError E_DTYPE, E_SHAPE, E_DISPOSED. */
export function centersOf(head: HeadWithCenters): CenterSource {
  const centers = head?.centers;
  if (typeof centers === 'object' && centers !== null && 'logitsAsync' in centers) return ofEngine(centers);
  return ofTensor(centers);
}

/** How many samples of `columns` numbers each fit in a block: one at least. */
export function samplesOfBlock(columns: number): number {
  return Math.max(1, Math.floor(BLOCK_BYTES / (4 * columns)));
}

/** The numbers of embeddings [B, D]. @throws HyperArcError E_DTYPE, E_SHAPE, E_NONFINITE naming the row. */
export async function readEmbeddings(embeddings: tf.Tensor, dim: number): Promise<Float32Array> {
  checkEmbeddings(embeddings, dim);
  const values = await embeddings.data<'float32'>();
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return values;
  const row = `embeddings[${Math.floor(at / dim)}]`;
  throw new HyperArcError('E_NONFINITE', `${row}: expected finite numbers, received ${values[at]}`);
}
