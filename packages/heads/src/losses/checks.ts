import * as tf from '@tensorflow/tfjs-core';
import { checkFloat, checkShape, readLabels, type Labels } from '../checks.js';
import { checkEmbeddings, shapeOfCenters } from '../class-cosines.js';

/** Labels of losses without classes: any identity number that fits in int32. */
const IDENTITIES = 2 ** 31;

/** @throws HyperArcError E_DTYPE, E_SHAPE unless `embeddings` are [B, D], both ≥ 1. */
export function checkBatch(embeddings: tf.Tensor): asserts embeddings is tf.Tensor2D {
  checkFloat('embeddings', embeddings);
  checkShape('embeddings', embeddings, '[B, D], both ≥ 1', embeddings.rank === 2 && embeddings.size > 0);
}

/** Identity numbers of the samples, any integers in [0, 2³¹). @throws HyperArcError E_DTYPE, E_SHAPE, E_RANGE. */
export function readIdentities(labels: Labels, batch: number): Int32Array {
  return readLabels(labels, batch, IDENTITIES, 'number the identities from 0');
}

/** Centres [C, D] of losses that have no sub-centres. @returns C. @throws HyperArcError E_DTYPE, E_SHAPE. */
export function checkPlainCenters(name: string, centers: tf.Tensor, embeddings: tf.Tensor): number {
  checkFloat(name, centers);
  checkShape(name, centers, '[C, D], both ≥ 1', centers.rank === 2 && centers.size > 0);
  const { classes, dim } = shapeOfCenters(centers);
  checkEmbeddings(embeddings, dim);
  return classes;
}
