import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import { type TensorFlowOps, tensorFlowOps } from './tensorflowOps.js';

export interface FusedBatchNormConfig {
  name?: string;
  /** Added to the variance. Default 1e-5, PyTorch's. */
  epsilon?: number;
  /** Share of the running statistics kept at each training step, in [0, 1). Default 0.9 (PyTorch's momentum 0.1). */
  momentum?: number;
  /** Whether γ is trained; if not it stays 1 (the output norm of an IResNet). Default true. */
  scaleTrainable?: boolean;
  /** False: no γ and no β at all, PyTorch's `affine=False`. Default true. */
  affine?: boolean;
}

/** What a training step of batch norm gives: the output, and the running statistics after it. */
interface TrainingOutputs {
  output: tf.Tensor2D | tf.Tensor4D;
  runningMean: tf.Tensor1D;
  runningVariance: tf.Tensor1D;
}

interface Parameters {
  gamma: tf.Tensor1D;
  beta: tf.Tensor1D;
  runningMean: tf.Tensor1D;
  runningVariance: tf.Tensor1D;
}

function fusedAttributes(ops: TensorFlowOps, epsilon: number, training: boolean) {
  return [
    ops.type('U'),
    ops.float('epsilon', epsilon),
    ops.string('data_format', 'NHWC'),
    ops.bool('is_training', training),
  ];
}

/** Dense activations [B, C] as the [B, 1, 1, C] that TensorFlow's fused kernels take. */
function asNhwc(x: tf.Tensor): tf.Tensor {
  return x.rank === 4 ? x : tf.reshape(x, [x.shape[0]!, 1, 1, x.shape[1]!]);
}

/** Training through FusedBatchNormV3 and FusedBatchNormGradV3: one dispatch each way. */
function trainFused(
  ops: TensorFlowOps,
  x: tf.Tensor,
  p: Parameters,
  epsilon: number,
  momentum: number,
): TrainingOutputs {
  const attributes = fusedAttributes(ops, epsilon, true);
  let runningMean!: tf.Tensor1D;
  let runningVariance!: tf.Tensor1D;
  const forward = tf.customGrad((xIn, gammaIn, betaIn, save) => {
    const [x_, gamma] = [xIn as tf.Tensor, gammaIn as tf.Tensor];
    // With exponential_avg_factor f, outputs 1 and 2 are (1−f)·running + f·batch, the variance unbiased: PyTorch's update.
    const [y, mean, variance, reserve1, reserve2, reserve3] = ops.many(
      'FusedBatchNormV3',
      [asNhwc(x_), gamma, betaIn as tf.Tensor, p.runningMean, p.runningVariance],
      [...attributes, ops.float('exponential_avg_factor', 1 - momentum)],
      6,
    ) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
    runningMean = tf.keep(mean) as tf.Tensor1D;
    runningVariance = tf.keep(variance) as tf.Tensor1D;
    (save as tf.GradSaveFunc)([x_, gamma, reserve1, reserve2, reserve3]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[] => {
      const [sx, sGamma, r1, r2, r3] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
      const [dx, dGamma, dBeta] = ops.many(
        'FusedBatchNormGradV3',
        [asNhwc(dy), asNhwc(sx), sGamma, r1, r2, r3],
        attributes,
        5,
      ) as [tf.Tensor, tf.Tensor, tf.Tensor];
      return [tf.reshape(dx, sx.shape), dGamma, dBeta];
    };
    return { value: tf.reshape(y, x_.shape), gradFunc };
  });
  const output = forward(x, p.gamma, p.beta) as tf.Tensor4D;
  return { output, runningMean, runningVariance };
}

/** The same in portable tfjs ops, with the closed-form gradient (Ioffe and Szegedy 2015, section 3). */
function trainPortable(x: tf.Tensor, p: Parameters, epsilon: number, momentum: number): TrainingOutputs {
  const channels = x.shape[x.rank - 1]!;
  const rows = x.size / channels;
  let runningMean!: tf.Tensor1D;
  let runningVariance!: tf.Tensor1D;
  const forward = tf.customGrad((xIn, gammaIn, betaIn, save) => {
    const [x_, gamma] = [xIn as tf.Tensor, gammaIn as tf.Tensor];
    const x2d = tf.reshape(x_, [rows, channels]);
    const { mean, variance } = tf.moments(x2d, 0) as { mean: tf.Tensor1D; variance: tf.Tensor1D };
    const rstd = tf.rsqrt(tf.add(variance, epsilon));
    const normalised = tf.mul(tf.sub(x2d, mean), rstd);
    const unbiased = tf.mul(variance, rows / Math.max(rows - 1, 1));
    runningMean = tf.keep(tf.add(tf.mul(p.runningMean, momentum), tf.mul(mean, 1 - momentum)));
    runningVariance = tf.keep(tf.add(tf.mul(p.runningVariance, momentum), tf.mul(unbiased, 1 - momentum)));
    (save as tf.GradSaveFunc)([x_, gamma, mean, rstd]);
    const gradFunc = (dyIn: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[] => {
      const [sx, sGamma, sMean, sRstd] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
      const dy = tf.reshape(dyIn, [rows, channels]);
      const xHat = tf.mul(tf.sub(tf.reshape(sx, [rows, channels]), sMean), sRstd);
      const dBeta = tf.sum(dy, 0);
      const dGamma = tf.sum(tf.mul(dy, xHat), 0);
      const centred = tf.sub(dy, tf.div(tf.add(dBeta, tf.mul(xHat, dGamma)), rows));
      const dx = tf.mul(centred, tf.mul(sGamma, sRstd));
      return [tf.reshape(dx, sx.shape), dGamma, dBeta];
    };
    return { value: tf.reshape(tf.add(tf.mul(normalised, gamma), betaIn as tf.Tensor), x_.shape), gradFunc };
  });
  const output = forward(x, p.gamma, p.beta) as tf.Tensor4D;
  return { output, runningMean, runningVariance };
}

/**
 * Batch normalisation over all axes but the last, of [B, C] or [B, H, W, C] fp32.
 *
 * Applied with `{training: true}` it normalises with the batch's mean and biased variance, is differentiable with respect to the
 * input, γ and β, and moves the running mean and the (unbiased) running variance once; otherwise it uses the running statistics.
 * On the TensorFlow backend both directions are one op.
 */
export class FusedBatchNorm extends tfl.layers.Layer {
  static readonly className = 'HyperArcFusedBatchNorm';
  readonly epsilon: number;
  readonly momentum: number;
  readonly scaleTrainable: boolean;
  readonly affine: boolean;
  private gamma: tfl.LayerVariable | undefined;
  private beta: tfl.LayerVariable | undefined;
  private runningMean!: tfl.LayerVariable;
  private runningVariance!: tfl.LayerVariable;

  constructor(config: FusedBatchNormConfig = {}) {
    super(config as ConstructorParameters<typeof tfl.layers.Layer>[0]);
    this.epsilon = config.epsilon ?? 1e-5;
    this.momentum = config.momentum ?? 0.9;
    this.scaleTrainable = config.scaleTrainable ?? true;
    this.affine = config.affine ?? true;
  }

  override build(inputShape: tfl.Shape | tfl.Shape[]): void {
    const shape = inputShape as tfl.Shape;
    const channels = [shape[shape.length - 1]!];
    const [ones, zeros] = [tfl.initializers.ones(), tfl.initializers.zeros()];
    if (this.affine) {
      this.gamma = this.addWeight('gamma', channels, 'float32', ones, undefined, this.scaleTrainable);
      this.beta = this.addWeight('beta', channels, 'float32', zeros);
    }
    this.runningMean = this.addWeight('running_mean', channels, 'float32', zeros, undefined, false);
    this.runningVariance = this.addWeight('running_variance', channels, 'float32', ones, undefined, false);
    super.build(inputShape);
  }

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: { training?: boolean }): tf.Tensor {
    const x = Array.isArray(inputs) ? inputs[0]! : inputs;
    return tf.tidy(() => {
      const p: Parameters = {
        gamma: (this.gamma?.read() as tf.Tensor1D | undefined) ?? tf.onesLike(this.runningMean.read() as tf.Tensor1D),
        beta: (this.beta?.read() as tf.Tensor1D | undefined) ?? tf.zerosLike(this.runningMean.read() as tf.Tensor1D),
        runningMean: this.runningMean.read() as tf.Tensor1D,
        runningVariance: this.runningVariance.read() as tf.Tensor1D,
      };
      const ops = tensorFlowOps();
      if (kwargs.training !== true) return this.infer(ops, x, p);
      const result =
        ops === null
          ? trainPortable(x, p, this.epsilon, this.momentum)
          : trainFused(ops, x, p, this.epsilon, this.momentum);
      this.runningMean.write(result.runningMean);
      this.runningVariance.write(result.runningVariance);
      tf.dispose([result.runningMean, result.runningVariance]);
      return result.output;
    });
  }

  /** Normalises with the running statistics. Differentiable, through portable ops. */
  private infer(ops: TensorFlowOps | null, x: tf.Tensor, p: Parameters): tf.Tensor {
    if (ops === null || x.rank !== 4) {
      const scale = tf.mul(p.gamma, tf.rsqrt(tf.add(p.runningVariance, this.epsilon)));
      return tf.add(tf.mul(x, scale), tf.sub(p.beta, tf.mul(p.runningMean, scale)));
    }
    return tf.batchNorm(x as tf.Tensor4D, p.runningMean, p.runningVariance, p.beta, p.gamma, this.epsilon);
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape | tfl.Shape[] {
    return inputShape;
  }

  override getConfig(): tf.serialization.ConfigDict {
    return {
      ...super.getConfig(),
      epsilon: this.epsilon,
      momentum: this.momentum,
      scaleTrainable: this.scaleTrainable,
      affine: this.affine,
    };
  }
}
tf.serialization.registerClass(FusedBatchNorm);
