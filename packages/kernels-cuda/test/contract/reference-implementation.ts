import type { Precision } from '../../dist/index.js';
import type { AdamWState, ReferenceCenters, ReferenceStep } from '../../dist/reference/index.js';
import {
  adamwUpdate,
  centerGradient,
  cosines,
  drawnRows,
  forward,
  roundAdamWState,
  roundBf16,
  roundState,
  sampleClasses,
  seedRows,
  sgdUpdate,
} from '../../dist/reference/index.js';
import type { ContractCenters, ForwardResult, Implementation, Subject } from './implementation.js';

/** A step of one shard: the step of all shards, and which one this is. */
interface ShardedStep {
  readonly step: ReferenceStep;
  readonly shard: number;
}

class ReferenceSubject implements Subject<ShardedStep> {
  private state: AdamWState;
  private t: number;

  constructor(
    private readonly shape: ContractCenters,
    private readonly precision: Precision,
  ) {
    const { weights, momentum, secondMoment = [], updates = 0 } = shape;
    this.state = {
      weights: Float64Array.from(weights),
      momentum: Float64Array.from(momentum),
      secondMoment: Float64Array.from(secondMoment),
    };
    this.t = updates;
  }

  get centers(): ReferenceCenters {
    return { ...this.shape, weights: this.state.weights };
  }

  forward: Subject<ShardedStep>['forward'] = (batch) => {
    const step = forward([this.centers], batch, [batch.sampled]);
    return { ...step, step: { step, shard: 0 } };
  };

  gradients: Subject<ShardedStep>['gradients'] = (steps) =>
    centerGradient(
      this.centers,
      steps.map(({ step }) => step),
      steps[0].shard,
    );

  update: Subject<ShardedStep>['update'] = (steps, options) => {
    const isDrawn = drawnRows(
      steps.map(({ step }) => step),
      this.shape.subCenters,
      steps[0].shard,
    );
    const { weights, momentum } = this.state;
    const { dim, firstClass, subCenters } = this.shape;
    const isMaster = this.precision === 'bf16-master';
    const [firstRow, gradient] = [firstClass * subCenters, this.gradients(steps)];
    if ('betas' in options) {
      this.t += 1;
      const moved = adamwUpdate(this.state, gradient, dim, isDrawn, this.t, options);
      this.state = isMaster ? roundAdamWState(moved, dim, firstRow, options.roundingStep) : moved;
    } else {
      const moved = sgdUpdate(weights, momentum, gradient, dim, isDrawn, options);
      const rounded = isMaster ? roundState(moved, dim, firstRow, options.roundingStep) : moved;
      this.state = { ...this.state, ...rounded };
    }
  };

  weights = () => this.state.weights;
  momentum = () => this.state.momentum;
  secondMoment = () => this.state.secondMoment;
  updates = () => this.t;
  cosines = (embeddings: Float32Array) => cosines(this.centers, embeddings);
  sample: Subject['sample'] = (request) => sampleClasses({ ...request, ...this.shape });

  seed = (seed: bigint, stddev: number) => {
    const { classes, subCenters, firstClass, dim } = this.shape;
    const rows = seedRows(seed, Math.fround(stddev), firstClass * subCenters, classes * subCenters, dim);
    const weights = this.precision === 'bf16-master' ? rows.map(roundBf16) : rows;
    const [momentum, secondMoment] = [new Float64Array(rows.length), new Float64Array(this.state.secondMoment.length)];
    this.state = { weights: Float64Array.from(weights), momentum, secondMoment };
    this.t = 0;
  };

  dispose(): void {}
}

/** The reference itself as an implementation: the suite's own check, and what its mutants are made from. */
export const referenceImplementation = (precision: Precision): Implementation<ShardedStep> => ({
  name: `float64 reference, ${precision}`,
  precision,
  maxSubCenters: Infinity,
  hasRowParameters: true,
  hasFamilies: true,
  hasNegativeRules: true,
  hasRowGradient: true,
  hasUpdate: true,
  hasAdamW: true,
  hasSampling: true,
  hasShards: true,
  create: (centers) => new ReferenceSubject(centers, precision),
  forwardSharded(subjects, batch): ForwardResult<readonly ShardedStep[]> {
    const step = forward(
      subjects.map((subject) => (subject as ReferenceSubject).centers),
      batch,
    );
    return { ...step, step: subjects.map((_, shard) => ({ step, shard })) };
  },
});
