import * as tf from '@tensorflow/tfjs-core';
import type {
  ContractBatch,
  ContractCenters,
  Implementation,
  Subject,
} from '../../kernels-cuda/test/contract/implementation.js';
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

  /** Gradient of the mean loss with respect to the embeddings (0) or the centres (1). */
  private gradient(batch: ContractBatch, which: 0 | 1): Float32Array {
    const loss = (x: tf.Tensor, w: tf.Tensor) =>
      marginSoftmaxLoss(x as tf.Tensor2D, w as Centers, batch.labels, { name: 'contract', ...batch.rule });
    return numbers(() => tf.grads(loss)([this.embeddings(batch.embeddings), this.centers()])[which]);
  }

  forward: Subject<ContractBatch>['forward'] = (batch) => {
    const { dim } = this.shape;
    const spec = { name: 'contract', ...batch.rule };
    const sampleLoss = Array.from(batch.labels, (label, i) => {
      const x = batch.embeddings.slice(i * dim, (i + 1) * dim);
      return numbers(() => marginSoftmaxLoss(this.embeddings(x), this.centers(), [label], spec))[0];
    });
    const mean = numbers(() =>
      marginSoftmaxLoss(this.embeddings(batch.embeddings), this.centers(), batch.labels, spec),
    );
    const meanOfSamples = sampleLoss.reduce((sum, value) => sum + value, 0) / sampleLoss.length;
    if (Math.abs(mean[0] - meanOfSamples) > 1e-5 * Math.max(1, meanOfSamples)) {
      throw new Error(`loss: the mean is ${mean[0]}, the mean of the samples ${meanOfSamples}`);
    }
    const cosines = this.cosines(batch.embeddings);
    return {
      step: batch,
      sampleLoss,
      embeddingGradient: this.gradient(batch, 0),
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
    hasRowParameters: false,
    hasUpdate: false,
    hasSampling: false,
    hasShards: false,
    create: (centers) => new TfjsSubject(centers),
  };
  return implementation as Implementation;
}
