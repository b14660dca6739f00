import type { MarginRule } from '@hyperarc/kernels-cuda/margin';
import * as tf from '@tensorflow/tfjs-core';
import { checkMarginSpec, type Adaptation, type MarginSpec } from '../specs/index.js';
import { adaptiveScale } from './adaptive-scale.js';
import { annealing } from './annealing.js';
import { classMargins } from './class-margins.js';
import { curriculum } from './curriculum.js';
import { magnitude } from './magnitude.js';
import { normQuality } from './norm-quality.js';
import { normScale } from './norm-scale.js';
import { checkNorms, normsOf } from './norms.js';
import { randomMargin } from './random-margin.js';
import { penaltyOf, rowParametersOf } from './rows.js';
import type { AdaptationRuntime, AdapterBatch, Column, ColumnName, Contribution, TrainingBatch } from './runtime.js';
import { failFormat, readObject } from './state-fields.js';

/** The margin of one batch. */
export interface AdaptedMargin {
  readonly rule: MarginRule;
  /** (s, m1, m2, m3) of each sample [B, 4] where they differ; differentiable with respect to the embeddings. */
  readonly rowParameters?: tf.Tensor2D;
}

/** The margin of a training batch. */
export interface PreparedMargin extends AdaptedMargin {
  /** What is added to the mean loss; differentiable with respect to the embeddings. */
  readonly penalty?: tf.Scalar;
  /** Takes the state that this batch leaves behind. For when the batch's loss is there: a batch that fails changes nothing. */
  commit(): void;
}

/** Whether a margin follows the length ‖x‖ of each embedding (MagFace, AdaFace, SphereFace without a scale of its own). */
export function needsNorms({ adaptive = [] }: MarginSpec): boolean {
  return adaptive.some(({ kind }) => kind === 'magnitude' || kind === 'norm-quality' || kind === 'norm-scale');
}

/** State of a margin that adapts; plain JSON. */
export interface MarginState {
  /** Name of the margin whose state this is. */
  readonly head: string;
  /** One for each of the spec's adaptations, in their order. */
  readonly adaptations: readonly ({ readonly kind: Adaptation['kind'] } & Record<string, unknown>)[];
}

function runtimeOf(name: string, adaptation: Adaptation, spec: MarginSpec, classes: number): AdaptationRuntime {
  const runtime = (): unknown => {
    switch (adaptation.kind) {
      case 'magnitude':
        return magnitude(adaptation);
      case 'norm-quality':
        return normQuality(adaptation);
      case 'curriculum':
        return curriculum(adaptation);
      case 'random-margin':
        return randomMargin(adaptation, spec);
      case 'adaptive-scale':
        return adaptiveScale(spec);
      case 'class-margins':
        return classMargins(name, adaptation, classes);
      case 'norm-scale':
        return normScale(adaptation);
      case 'annealing':
        return annealing(adaptation);
    }
  };
  return runtime() as AdaptationRuntime;
}

/** What the contributions make of the rule, and of single samples. No two write the same (`checkMarginSpec`). */
function merge(spec: MarginSpec, contributions: readonly Contribution[]) {
  // Carried out, so no longer part of it.
  const { adaptive: _, ...own } = spec;
  const rule: MarginRule = Object.assign({}, own, ...contributions.map((contribution) => contribution.rule));
  const columns: Partial<Record<ColumnName, Column>> = Object.assign({}, ...contributions.map((each) => each.columns));
  return { rule, columns };
}

/**
 * Carries out the adaptations of a margin and holds their state; a margin without any stays as it is. Heads call `prepare` for each
 * training batch and commit what it gives; evaluation changes nothing.
 */
export class MarginAdapter {
  readonly spec: MarginSpec;
  private readonly runtimes: readonly AdaptationRuntime[];
  private states: readonly unknown[];

  /**
   * @param classes C of the head
   * @throws HyperArcError E_RANGE for a spec that is not one, E_SHAPE for class margins of another number of classes.
   */
  constructor(spec: MarginSpec, classes: number) {
    this.spec = checkMarginSpec(spec);
    const { adaptive = [] } = spec;
    this.runtimes = adaptive.map((each, i) => runtimeOf(`margin.adaptive[${i}]`, each, spec, classes));
    this.states = this.runtimes.map(({ initial }) => initial);
  }

  /** Whether anything adapts. */
  get isAdaptive(): boolean {
    return this.runtimes.length > 0;
  }

  /**
   * The margin of a training batch. Changes nothing until its `commit`.
   * @throws HyperArcError E_NONFINITE for embeddings or cosines that a margin follows and that are not finite.
   */
  prepare(batch: TrainingBatch): PreparedMargin {
    const results = this.runtimes.map((runtime, i) => runtime.train(this.states[i], batch));
    const contributions = results.map(({ contribution }) => contribution);
    const penalty = contributions.find((contribution) => contribution.penalty)?.penalty;
    return {
      ...this.adapt(batch, contributions),
      ...(penalty && { penalty: penaltyOf(batch, penalty) }),
      commit: () => {
        this.states = results.map(({ state }) => state);
      },
    };
  }

  /** The margin of a batch in evaluation: as it stands, and nothing changes. @throws HyperArcError E_NONFINITE. */
  evaluate(batch: AdapterBatch): AdaptedMargin {
    return this.adapt(
      batch,
      this.runtimes.map((runtime, i) => runtime.evaluate(this.states[i], batch)),
    );
  }

  /** The logit scale s of embeddings whatever their class: one for all, or ‖x‖ of each [B, 1]. */
  scaleOf(embeddings: tf.Tensor2D): number | tf.Tensor2D {
    const scaling =
      this.spec.adaptive?.findIndex(({ kind }) => kind === 'norm-scale' || kind === 'adaptive-scale') ?? -1;
    if (scaling < 0) return this.spec.scale;
    const { columns, rule } = this.runtimes[scaling]!.evaluate(this.states[scaling], { labels: new Int32Array(0) });
    const column = columns?.scale;
    if (typeof column !== 'function') return rule!.scale!;
    return tf.tidy(() => column(normsOf({ embeddings, labels: new Int32Array(0) })).values);
  }

  state(): MarginState {
    const adaptations = this.states.map((state, i) => ({ kind: this.spec.adaptive![i]!.kind, ...(state as object) }));
    return { head: this.spec.name, adaptations };
  }

  /** @throws HyperArcError E_FORMAT for anything but what {@link state} gave for the same margin; then nothing changes. */
  loadState(saved: MarginState): void {
    const { head, adaptations } = readObject('state.margin', saved);
    if (head !== this.spec.name) failFormat('state.margin.head', `that of this head, '${this.spec.name}'`, head);
    const count = this.runtimes.length;
    if (!Array.isArray(adaptations) || adaptations.length !== count) {
      const received = Array.isArray(adaptations) ? adaptations.length : typeof adaptations;
      failFormat('state.margin.adaptations', `an array of ${count}`, received);
    }
    this.states = this.runtimes.map((runtime, i) => {
      const name = `state.margin.adaptations[${i}]`;
      const fields = readObject(name, (adaptations as unknown[])[i]);
      const { kind } = this.spec.adaptive![i]!;
      if (fields['kind'] !== kind) failFormat(`${name}.kind`, `'${kind}'`, fields['kind']);
      return runtime.read(name, fields);
    });
  }

  private adapt(batch: AdapterBatch, contributions: readonly Contribution[]): AdaptedMargin {
    const { rule, columns } = merge(this.spec, contributions);
    if (Object.keys(columns).length === 0) return { rule };
    if (Object.values(columns).some((column) => typeof column === 'function')) checkNorms(batch);
    return { rule, rowParameters: rowParametersOf(batch, rule, columns) };
  }
}
