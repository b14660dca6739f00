import type { Precision } from '../../dist/index.js';
import type { ReferenceCenters, ReferenceStep } from '../../dist/reference/index.js';
import {
  centerGradient,
  cosines,
  drawnRows,
  forward,
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
  private state: { weights: Float64Array; momentum: Float64Array };

  constructor(
    private readonly shape: ContractCenters,
    private readonly precision: Precision,
  ) {
    this.state = { weights: Float64Array.from(shape.weights), momentum: Float64Array.from(shape.momentum) };
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
    const moved = sgdUpdate(weights, momentum, this.gradients(steps), dim, isDrawn, options);
    const isMaster = this.precision === 'bf16-master';
    this.state = isMaster ? roundState(moved, dim, firstClass * subCenters, options.roundingStep) : moved;
  };

  weights = () => this.state.weights;
  momentum = () => this.state.momentum;
  cosines = (embeddings: Float32Array) => cosines(this.centers, embeddings);
  sample: Subject['sample'] = (request) => sampleClasses({ ...request, ...this.shape });

  seed = (seed: bigint, stddev: number) => {
    const { classes, subCenters, firstClass, dim } = this.shape;
    const rows = seedRows(seed, Math.fround(stddev), firstClass * subCenters, classes * subCenters, dim);
    const weights = this.precision === 'bf16-master' ? rows.map(roundBf16) : rows;
    this.state = { weights: Float64Array.from(weights), momentum: new Float64Array(rows.length) };
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
