import { HyperArcError } from '@hyperarc/kernels-cuda';
import * as tf from '@tensorflow/tfjs-core';
import type { LayerVariable } from '@tensorflow/tfjs-layers';

import { globalNorm, nonFiniteNames } from './globalNorm.js';
import { type NamedVariable, ParameterGroup } from './parameterGroup.js';

/** What every optimizer of the backbone takes. */
export interface OptimizerOptions {
  /** λ ≥ 0. */
  weightDecay: number;
  /** Whether λ also applies to variables of rank 0 and 1: γ and β of norms, PReLU slopes, biases. */
  decayNormAndBias: boolean;
  /**
   * The model's `trainableWeights`. Given, the state is saved under their `originalName`, which another process or another model in
   * this one has too; else under the names of the tf.Variables, which tfjs makes unique in a process by a suffix.
   */
  weights?: readonly LayerVariable[];
  /** Multiples of the learning rate and of λ by `originalName` of a weight of `weights`; of the others 1. */
  factors?: ReadonlyMap<string, Factors> | undefined;
}

export interface Factors {
  /** ≥ 0 */
  readonly learningRate: number;
  /** ≥ 0 */
  readonly weightDecay: number;
}

const ONE: Factors = { learningRate: 1, weightDecay: 1 };

export interface ApplyOptions {
  /** Gradients whose norm over all variables exceeds this are scaled down to it, > 0. */
  clipNorm?: number | undefined;
}

/** The numbers of one update of one group. */
export interface GroupRule {
  /** η */
  learningRate: number;
  /** λ of this group. */
  weightDecay: number;
  /** Factor on the gradient, from clipping. */
  gradientScale: number;
}

/** PyTorch's clip_grad_norm_ divides by norm + 1e-6. */
const CLIP_EPSILON = 1e-6;
/** Name, in a saved state, of the number of updates made: int32 [1]. */
const STEP = 'step';

export function check(condition: boolean, argument: string, expected: string, received: unknown): void {
  if (!condition) throw new HyperArcError('E_RANGE', `${argument}: expected ${expected}, received ${String(received)}`);
}

/**
 * What moves the weights of a backbone: checks, clipping by the global norm, joined groups of variables, and a state that can be saved.
 * A subclass has the rule of one update.
 *
 * Repeated on the same numbers it gives the same bits (see backbones/README.md for what that needs of the backend).
 */
export abstract class Optimizer {
  readonly weightDecay: number;
  readonly decayNormAndBias: boolean;
  /** Updates made, those of a loaded state included. */
  protected updates = 0;
  private readonly stateNames: ReadonlyMap<string, string>;
  private readonly factors: ReadonlyMap<string, Factors>;
  private groups: ParameterGroup[] | null = null;
  private names: ReadonlySet<string> = new Set();
  /** State loaded before the first step, which says what the variables are. */
  private pending: tf.NamedTensorMap = {};

  /**
   * @param suffixes of the names of the state's tensors, one for each that a variable has.
   * @param countsUpdates whether the number of updates is part of the state.
   */
  protected constructor(
    { weightDecay, decayNormAndBias, weights = [], factors = new Map() }: OptimizerOptions,
    private readonly suffixes: readonly string[],
    private readonly countsUpdates: boolean,
  ) {
    check(weightDecay >= 0 && weightDecay < Infinity, 'weightDecay', 'a finite number ≥ 0', weightDecay);
    this.weightDecay = weightDecay;
    this.decayNormAndBias = decayNormAndBias;
    this.stateNames = new Map(weights.map((weight) => [weight.name, weight.originalName]));
    const known = new Set(this.stateNames.values());
    for (const [name, { learningRate, weightDecay: decay }] of factors) {
      check(known.has(name), 'factors', 'names of the weights', name);
      for (const factor of [learningRate, decay]) {
        check(factor >= 0 && factor < Infinity, `factors of ${name}`, 'finite numbers ≥ 0', factor);
      }
    }
    this.factors = factors;
  }

  /** Moves the variables of a group and its state. `gradient` is joined. Runs inside tidy; `updates` still counts those before. */
  protected abstract update(group: ParameterGroup, gradient: tf.Tensor, rule: GroupRule): void;

  /**
   * One step on the variables that `grads` names, as tf.variableGrads gives them (the caller disposes them). Reads back one number.
   * @param learningRate η ≥ 0.
   * @returns the norm of all gradients together, before clipping.
   * @throws HyperArcError E_NONFINITE if the norm is not finite, naming the variables; E_RANGE, E_SHAPE for bad arguments. Nothing
   *   has changed then.
   */
  apply(grads: tf.NamedTensorMap, learningRate: number, { clipNorm }: ApplyOptions = {}): { gradNorm: number } {
    check(learningRate >= 0 && learningRate < Infinity, 'learningRate', 'a finite number ≥ 0', learningRate);
    check(clipNorm === undefined || clipNorm > 0, 'clipNorm', 'a number > 0', clipNorm);
    const groups = this.groupsFor(grads);
    const gradNorm = tf.tidy(() => {
      const gradients = groups.map((group) => group.gradient(grads));
      const norm = globalNorm(gradients);
      if (!Number.isFinite(norm)) this.refuse(grads, norm);
      const gradientScale = clipNorm === undefined ? 1 : Math.min(1, clipNorm / (norm + CLIP_EPSILON));
      groups.forEach((group, i) => {
        const factors = this.factors.get(group.members[0]!.stateName) ?? ONE;
        const rate = learningRate * factors.learningRate;
        const weightDecay = group.rank > 1 || this.decayNormAndBias ? this.weightDecay * factors.weightDecay : 0;
        // A scope of its own: the intermediate tensors of a large variable go before the next one's come.
        tf.tidy(() => this.update(group, gradients[i]!, { learningRate: rate, weightDecay, gradientScale }));
      });
      return norm;
    });
    this.updates += 1;
    return { gradNorm };
  }

  /** The state by name as new tensors, fp32 of the variables' shapes, and the number of updates where it matters; empty before the first step. */
  state(): tf.NamedTensorMap {
    if (this.suffixes.length === 0) return {};
    if (this.groups === null) return this.copy(this.pending);
    const counter = this.countsUpdates ? { [STEP]: tf.tensor1d([this.updates], 'int32') } : {};
    return Object.assign(counter, ...this.groups.map((group) => group.state(this.suffixes))) as tf.NamedTensorMap;
  }

  /**
   * Goes on from what {@link state} gave; copies the tensors.
   * @throws HyperArcError E_FORMAT for a name that no variable has or E_SHAPE for another shape: at once if a step has been made,
   *   else at the first step. Nothing has changed then.
   */
  loadState(state: tf.NamedTensorMap): void {
    if (this.groups === null) {
      tf.dispose(this.pending);
      this.pending = this.copy(state);
      return;
    }
    this.checkState(state, this.groups);
    this.install(state, this.groups);
  }

  dispose(): void {
    tf.dispose(this.pending);
    this.pending = {};
    this.groups?.forEach((group) => group.dispose());
    this.groups = null;
  }

  private groupsFor(grads: tf.NamedTensorMap): ParameterGroup[] {
    const names = Object.keys(grads);
    if (this.groups !== null) {
      const same = names.length === this.names.size && names.every((name) => this.names.has(name));
      if (!same) throw new HyperArcError('E_RANGE', 'grads: expected the variables of the first step, received others');
    }
    const groups = this.groups ?? this.makeGroups(names);
    for (const { gradientName, variable } of groups.flatMap((group) => group.members)) {
      const gradient = grads[gradientName]!;
      if (!tf.util.arraysEqual(gradient.shape, variable.shape)) {
        const shapes = `expected shape [${variable.shape}], received [${gradient.shape}]`;
        throw new HyperArcError('E_SHAPE', `grads['${gradientName}']: ${shapes}`);
      }
    }
    if (this.groups === null) {
      this.checkState(this.pending, groups);
      if (Object.keys(this.pending).length > 0) this.install(this.pending, groups);
      tf.dispose(this.pending);
      this.pending = {};
      this.groups = groups;
      this.names = new Set(names);
    }
    return groups;
  }

  /** Vectors of the same factors form one group, since they share a rate and a decay; every other variable is its own. */
  private makeGroups(names: string[]): ParameterGroup[] {
    check(names.length > 0, 'grads', 'at least one gradient', 'none');
    const members = names.map((gradientName): NamedVariable => {
      const variable = tf.engine().registeredVariables[gradientName];
      if (variable === undefined) {
        throw new HyperArcError('E_RANGE', `grads: expected names of variables, received '${gradientName}'`);
      }
      return { gradientName, stateName: this.stateNames.get(gradientName) ?? gradientName, variable };
    });
    const others = members.filter(({ variable }) => variable.rank > 1);
    const vectors = new Map<string, NamedVariable[]>();
    for (const member of members.filter(({ variable }) => variable.rank <= 1)) {
      const { learningRate, weightDecay } = this.factors.get(member.stateName) ?? ONE;
      const key = `${learningRate} ${weightDecay}`;
      vectors.set(key, [...(vectors.get(key) ?? []), member]);
    }
    return [...others.map((m) => [m]), ...vectors.values()].map((list) => new ParameterGroup(list));
  }

  private install(state: tf.NamedTensorMap, groups: readonly ParameterGroup[]): void {
    for (const group of groups) group.loadState(state, this.suffixes);
    this.updates = this.countsUpdates ? (state[STEP]?.dataSync()[0] ?? 0) : 0;
  }

  private checkState(state: tf.NamedTensorMap, groups: readonly ParameterGroup[]): void {
    const shapes = new Map<string, number[]>(this.countsUpdates ? [[STEP, [1]]] : []);
    for (const { stateName, variable } of groups.flatMap((group) => group.members)) {
      for (const suffix of this.suffixes) shapes.set(stateName + suffix, variable.shape);
    }
    for (const [name, tensor] of Object.entries(state)) {
      const shape = shapes.get(name);
      if (shape === undefined) {
        throw new HyperArcError('E_FORMAT', `state: expected names of trained variables, received '${name}'`);
      }
      if (!tf.util.arraysEqual(shape, tensor.shape)) {
        const received = `expected shape [${shape}], received [${tensor.shape}]`;
        throw new HyperArcError('E_SHAPE', `state['${name}']: ${received}`);
      }
    }
    if (this.countsUpdates && Object.keys(state).length > 0 && !((state[STEP]?.dataSync()[0] ?? -1) >= 0)) {
      throw new HyperArcError('E_FORMAT', `state: expected the number of updates under '${STEP}', received none`);
    }
  }

  private copy(tensors: tf.NamedTensorMap): tf.NamedTensorMap {
    return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, tf.keep(tf.clone(tensor))]));
  }

  private refuse(grads: tf.NamedTensorMap, norm: number): never {
    const bad = nonFiniteNames(grads);
    const where =
      bad.length > 0 ? `in ${bad.slice(0, 5).join(', ')}${bad.length > 5 ? `, … (${bad.length})` : ''}` : '';
    const cause =
      where === '' ? `finite values with a norm of ${norm}: too large for fp32` : `NaN or Infinity ${where}`;
    throw new HyperArcError('E_NONFINITE', `grads: expected finite gradients, received ${cause}`);
  }
}
