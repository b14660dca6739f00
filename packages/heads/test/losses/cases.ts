import * as tf from '@tensorflow/tfjs-core';
import {
  centerLoss,
  circleLoss,
  contrastiveLoss,
  softmaxLoss,
  sphereFace2Loss,
  tripletLoss,
  unifaceLoss,
} from '../../dist/index.js';
import * as reference from './reference.js';
import type { Inputs } from './reference.js';

export type InputName = keyof Inputs;

/** A loss with its options: in tfjs, and in float64. */
export interface LossCase {
  readonly name: string;
  /** Step of finite differences, over the length of the row. */
  readonly step: number;
  /** What it is differentiable by. */
  readonly inputs: readonly InputName[];
  readonly loss: (tensors: readonly tf.Tensor[], labels: readonly number[]) => tf.Scalar;
  /** `at` is where constants of the gradient are taken. */
  readonly reference: (inputs: Inputs, labels: readonly number[], at: Inputs) => number;
}

type Options = Record<string, unknown>;
type X = tf.Tensor2D;

/** Leaves 7 digits of a scale of 64, and of rounding 1e-10 of the loss. */
const STEP = 1e-5;
/** For losses with hinges: few of thousands of triplets pass theirs in between. */
const HINGED_STEP = 1e-7;

/** The cases' losses by the name that loss_vectors.json gives them. */
export const makeCase: Record<string, (options: never) => LossCase> = {
  triplet: (options: reference.TripletOptions) => ({
    name: `triplet ${Object.values(options).join(' ')}`,
    step: HINGED_STEP,
    inputs: ['embeddings'],
    loss: ([x], labels) => tripletLoss(x as X, labels, options),
    reference: (inputs, labels) => reference.triplet(inputs, labels, options),
  }),
  contrastive: (options: { margin: number; normalize: boolean }) => ({
    name: `contrastive ${Object.values(options).join(' ')}`,
    step: HINGED_STEP,
    inputs: ['embeddings'],
    loss: ([x], labels) => contrastiveLoss(x as X, labels, options),
    reference: (inputs, labels) => reference.contrastive(inputs, labels, options),
  }),
  circle: (options: { margin: number; scale: number; gradient: 'exact' | 'straight-through' }) => ({
    name: `circle ${Object.values(options).join(' ')}`,
    step: STEP,
    inputs: ['embeddings'],
    loss: ([x], labels) => circleLoss(x as X, labels, options),
    reference: (inputs, labels, at) =>
      reference.circle(inputs, labels, options, options.gradient === 'exact' ? inputs : at),
  }),
  softmax: () => ({
    name: 'softmax',
    step: STEP,
    inputs: ['embeddings', 'centers', 'biases'],
    loss: ([x, w, b], labels) => softmaxLoss(x as X, w as X, b as tf.Tensor1D, labels),
    reference: reference.softmax,
  }),
  sphereface2: (options: reference.SphereFace2Options) => ({
    name: `sphereface2 ${Object.values(options).join(' ')}`,
    step: STEP,
    inputs: ['embeddings', 'centers', 'bias'],
    loss: ([x, w, b], labels) => sphereFace2Loss(x as X, w as X, b as tf.Scalar, labels, options),
    reference: (inputs, labels, at) => reference.sphereFace2(inputs, labels, options, at),
  }),
  uniface: (options: { scale: number; margin: number; balance: number }) => ({
    name: `uniface ${Object.values(options).join(' ')}`,
    step: STEP,
    inputs: ['embeddings', 'centers', 'bias'],
    loss: ([x, w, b], labels) => unifaceLoss(x as X, w as X, b as tf.Scalar, labels, options),
    reference: (inputs, labels) => reference.uniface(inputs, labels, options),
  }),
  center: ({ weight }: { weight: number }) => ({
    name: `center ${weight}`,
    step: STEP,
    inputs: ['embeddings', 'centers'],
    loss: ([x, w], labels) => centerLoss(x as X, w as X, labels, { weight }),
    reference: (inputs, labels) => reference.center(inputs, labels, weight),
  }),
};

const make = (loss: string, options: Options = {}) => makeCase[loss](options as never);

const triplets = (['batch-all', 'batch-hard', 'semi-hard'] as const).flatMap((mining) =>
  (['squared', 'euclidean'] as const).flatMap((distance) =>
    [true, false].map((normalize) => ({ mining, margin: normalize ? 0.3 : 2, distance, normalize })),
  ),
);

export const cases: readonly LossCase[] = [
  ...triplets.map((options, i) => make('triplet', { ...options, average: i % 2 === 0 ? 'all' : 'nonzero' })),
  ...(['batch-all', 'batch-hard'] as const).map((mining) =>
    make('triplet', { mining, margin: 'soft', distance: 'squared', normalize: true, average: 'all' }),
  ),
  make('contrastive', { margin: 1, normalize: true }),
  make('contrastive', { margin: 4, normalize: false }),
  ...(['exact', 'straight-through'] as const).flatMap((gradient) => [
    make('circle', { margin: 0.25, scale: 64, gradient }),
    make('circle', { margin: 0.4, scale: 8, gradient }),
  ]),
  make('softmax'),
  make('sphereface2', { balance: 0.7, scale: 40, margin: 0.4, exponent: 3 }),
  make('sphereface2', { balance: 0.5, scale: 16, margin: 0, exponent: 1.5 }),
  make('sphereface2', { balance: 0.7, scale: 40, margin: 0.4, exponent: 3, gradient: 'straight-through' }),
  make('uniface', { scale: 64, margin: 0.4, balance: 1 }),
  make('uniface', { scale: 16, margin: 0, balance: 0.25 }),
  make('center', { weight: 0.5 }),
];
