import * as tf from '@tensorflow/tfjs-core';
import { arcFace, contrastiveLoss, magFace, MarginHead, type MarginSpec } from '../../dist/index.js';

/** What a backend whose numbers are not quite IEEE's could get wrong; plain JSON. */
export interface Edges {
  /** Contrastive loss of two identities from 0 on, and from 2²⁴ on, where fp32 tells no odd integer from the even one before. */
  readonly nearIdentities: [small: number, large: number];
  /** Losses of batches with an infinite embedding, or the codes of their errors; as text, for JSON has no NaN. */
  readonly infinite: Record<string, string>;
}

function lossOfInfinite(margin: MarginSpec): string {
  const head = new MarginHead({ classes: 3, dim: 2, margin });
  const x = tf.tensor2d([1, 2, Infinity, 1], [2, 2]);
  try {
    return String(head.loss(x, [0, 1]).dataSync()[0]);
  } catch (error) {
    return (error as { code: string }).code;
  }
}

/** Runs on the backend in use, with none of WebGL's small tensors left to the processor. */
export function edges(): Edges {
  if (tf.getBackend() === 'webgl') tf.env().set('WEBGL_CPU_FORWARD', false);
  const points = tf.tensor2d([1, 0, 0.9, 0.1, 0, 1, 0.2, 1], [4, 2]);
  const lossFrom = (first: number) =>
    contrastiveLoss(points, [first, first, first + 1, first + 1]).dataSync<'float32'>()[0]!;
  return {
    nearIdentities: [lossFrom(0), lossFrom(2 ** 24)],
    infinite: { arcFace: lossOfInfinite(arcFace()), magFace: lossOfInfinite(magFace()) },
  };
}
