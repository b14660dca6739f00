import * as tf from '@tensorflow/tfjs-core';
import type {
  ContractBatch,
  ContractCenters,
  Implementation,
  Subject,
} from '../../kernels-cuda/test/contract/implementation.js';
import { partOf } from '../../kernels-cuda/test/contract/data.js';
import type { Centers } from '../dist/index.js';
import { classCosines, marginSoftmaxLoss } from '../dist/index.js';

/** Runs `work` and gives the numbers of the tensor it returns. */
function numbers(work: () => tf.Tensor): Float32Array {
  return tf.tidy(() => work().dataSync<'float32'>().slice());
}

class TfjsSubject implements Subject<ContractBatch> {
  constructor(private readonly shape: ContractCenters) {}

  private centers(): Centers {
    const { classes, subCenters, dim, weights } = this.shape;
    return subCenters === 1 ? tf.tensor2d(weights, [classes, dim]) : tf.tensor3d(weights, [classes, subCenters, dim]);
  }

  private embeddings(values: Float32Array): tf.Tensor2D {
    return tf.tensor2d(values, [values.length / this.shape.dim, this.shape.dim]);
  }

  private rowParameters({ rowParameters, labels }: ContractBatch): tf.Tensor2D | undefined {
    return rowParameters && tf.tensor2d(rowParameters, [labels.length, 4]);
  }

  /** Gradient of the mean loss with respect to the embeddings (0), the centres (1) or the row parameters (2). */
  private gradient(batch: ContractBatch, which: 0 | 1 | 2): Float32Array {
    const loss = (x: tf.Tensor, w: tf.Tensor, rows?: tf.Tensor) =>
      marginSoftmaxLoss(x as tf.Tensor2D, w as Centers, batch.labels, batch.rule, rows as tf.Tensor2D | undefined);
    return numbers(() => {
      const rows = this.rowParameters(batch);
      const inputs = [this.embeddings(batch.embeddings), this.centers(), ...(rows ? [rows] : [])];
      return tf.grads(loss as (...tensors: tf.Tensor[]) => tf.Scalar)(inputs)[which];
    });
  }

  /** [B, 4]. The rule's four numbers count as row parameters of every sample. */
  private rowGradient(batch: ContractBatch): Float32Array {
    const { scale, m1, m2, m3 } = batch.rule;
    const ofRule = Array.from(batch.labels).flatMap(() => [scale, m1, m2, m3]);
    const rowParameters = batch.rowParameters ?? Float32Array.from(ofRule);
    return this.gradient({ ...batch, rowParameters }, 2);
  }

  private loss({ embeddings, labels, rule, rowParameters }: ContractBatch): number {
    return numbers(() => {
      const rows = this.rowParameters({ embeddings, labels, rule, rowParameters });
      return marginSoftmaxLoss(this.embeddings(embeddings), this.centers(), labels, rule, rows);
    })[0];
  }

  forward: Subject<ContractBatch>['forward'] = (batch) => {
    const sampleLoss = Array.from(batch.labels, (_, i) => this.loss(partOf(batch, this.shape.dim, i, i + 1)));
    const mean = this.loss(batch);
    const meanOfSamples = sampleLoss.reduce((sum, value) => sum + value, 0) / sampleLoss.length;
    if (Math.abs(mean - meanOfSamples) > 1e-5 * Math.max(1, meanOfSamples)) {
      throw new Error(`loss: the mean is ${mean}, the mean of the samples ${meanOfSamples}`);
    }
    const cosines = this.cosines(batch.embeddings);
    return {
      step: batch,
      sampleLoss,
      embeddingGradient: this.gradient(batch, 0),
      rowGradient: this.rowGradient(batch),
      targetCosine: Array.from(batch.labels, (label, i) => cosines[i * this.shape.classes + label]),
    };
  };

  gradients: Subject<ContractBatch>['gradients'] = (batches) => {
    const samples = batches.reduce((sum, batch) => sum + batch.labels.length, 0);
    const total = new Float64Array(this.shape.weights.length);
    for (const batch of batches) {
      this.gradient(batch, 1).forEach((value, e) => (total[e] += (value * batch.labels.length) / samples));
    }
    return total;
  };

  weights = () => this.shape.weights;
  cosines = (embeddings: Float32Array) => numbers(() => classCosines(this.embeddings(embeddings), this.centers()));
  dispose(): void {}
}

/** The pure tfjs loss on the backend in use. */
export function tfjsImplementation(backend: string): Implementation {
  const implementation: Implementation<ContractBatch> = {
    name: `pure tfjs on ${backend}`,
    maxSubCenters: Infinity,
    hasRowParameters: true,
    hasFamilies: true,
    hasNegativeRules: true,
    hasRowGradient: true,
    differentiatesScale: true,
    hasUpdate: false,
    hasSampling: false,
    roundsFewTerms: true,
    hasShards: false,
    create: (centers) => new TfjsSubject(centers),
  };
  return implementation as Implementation;
}
