import { type ClassCenters } from '@hyperarc/kernels-cuda';
import type * as tf from '@tensorflow/tfjs-core';

/** What some margins look at in the engine's centres before a batch's loss. Embeddings are read back from their device. */
export class CenterCosines {
  private values: Float32Array | undefined;

  /** @param sampled the classes that take part, all if undefined */
  constructor(
    private readonly centers: ClassCenters,
    private readonly embeddings: tf.Tensor2D,
    private readonly labels: Int32Array,
    private readonly sampled: Int32Array | undefined,
  ) {}

  /** [B] cosine of each embedding with the centre of its class: O(B·D). */
  targets(): Float32Array {
    return this.centers.targetCosines({ embeddings: this.read(), labels: this.labels });
  }

  /**
   * [B] ln Σ_{j≠y} e^(scale·cosθ_j) over the classes that take part: one pass over the centres. From the loss of CosFace with m = 1, which is
   * softplus(a − T), T = scale·(cosθ_y − 1): the wide margin keeps the digits of a where classes are well apart.
   */
  negativeLogSums(scale: number): Float64Array {
    const margin = { scale, m1: 1, m2: 0, m3: 1, fallback: 'none', gradient: 'exact' } as const;
    const { sampled, labels } = this;
    const { lossPerSample, targetCosine, step } = this.centers.forward({
      embeddings: this.read(),
      labels,
      margin,
      sampled,
    });
    step.dispose();
    return Float64Array.from(lossPerSample, (loss, i) => {
      const target = scale * (targetCosine[i]! - 1);
      // ln(e^loss − 1), also where e^loss passes the largest number.
      return target + loss + Math.log(-Math.expm1(-loss));
    });
  }

  private read(): Float32Array {
    this.values ??= this.embeddings.dataSync<'float32'>();
    return this.values;
  }
}
