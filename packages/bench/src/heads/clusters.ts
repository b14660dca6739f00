import { Random } from './random.js';

/** Made samples: rows of numbers, each of one identity. */
export interface Samples {
  /** [N, inputs] */
  readonly values: Float32Array;
  readonly inputs: number;
  /** [N] */
  readonly labels: Int32Array;
}

export interface ClusterOptions {
  readonly identities: number;
  readonly inputs: number;
  /** Deviation of a sample from its identity's point, whose coordinates have deviation 1. */
  readonly spread: number;
  readonly seed: number;
}

/** Identities as points of a Gaussian cloud, and samples scattered around them. Draws of one seed share their identities. */
export class Clusters {
  private readonly points: Float32Array;

  constructor(private readonly options: ClusterOptions) {
    const random = new Random(options.seed);
    this.points = Float32Array.from({ length: options.identities * options.inputs }, () => random.normal());
  }

  /** `countOf(identity)` samples of each; another `draw` gives others. */
  draw(draw: number, countOf: (identity: number) => number): Samples {
    const { identities, inputs, spread, seed } = this.options;
    const random = new Random(seed + 7919 * (draw + 1));
    const labels = Int32Array.from(
      Array.from({ length: identities }, (_, identity) => Array<number>(countOf(identity)).fill(identity)).flat(),
    );
    const values = new Float32Array(labels.length * inputs);
    labels.forEach((identity, n) => {
      for (let d = 0; d < inputs; d++) {
        values[n * inputs + d] = this.points[identity * inputs + d]! + spread * random.normal();
      }
    });
    return { values, inputs, labels };
  }
}
