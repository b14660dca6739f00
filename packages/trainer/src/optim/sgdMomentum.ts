import { HyperArcError } from '@hyperarc/kernels-cuda';
import * as tf from '@tensorflow/tfjs-core';
import type { LayerVariable } from '@tensorflow/tfjs-layers';

import { globalNorm, nonFiniteNames } from './globalNorm.js';
import { type NamedVariable, ParameterGroup } from './parameterGroup.js';

export interface SgdMomentumOptions {
  /** μ, in [0, 1). */
  momentum: number;
  /** λ ≥ 0. */
  weightDecay: number;
  /** Whether λ also applies to variables of rank 0 and 1: γ and β of norms, PReLU slopes, biases. */
  decayNormAndBias: boolean;
  /**
   * The model's `trainableWeights`. Given, the state is saved under their `originalName`, which another process or another model in
   * this one has too; else under the names of the tf.Variables, which tfjs makes unique in a process by a suffix.
   */
  weights?: readonly LayerVariable[];
}

export interface ApplyOptions {
  /** Gradients whose norm over all variables exceeds this are scaled down to it, > 0. */
  clipNorm?: number | undefined;
}

/** PyTorch's clip_grad_norm_ divides by norm + 1e-6. */
const CLIP_EPSILON = 1e-6;

function check(condition: boolean, argument: string, expected: string, received: unknown): void {
  if (!condition) throw new HyperArcError('E_RANGE', `${argument}: expected ${expected}, received ${String(received)}`);
}

/**
 * Stochastic gradient descent with momentum in PyTorch's form: v ← μ·v + g + λ·w, w ← w − η·v. A change of the learning rate acts on
 * the whole velocity, unlike tf.train.momentum.
 *
 * Repeated on the same numbers it gives the same bits (see backbones/README.md for what that needs of the backend).
 */
export class SgdMomentum {
  readonly momentum: number;
  readonly weightDecay: number;
  readonly decayNormAndBias: boolean;
  private readonly stateNames: ReadonlyMap<string, string>;
  private groups: ParameterGroup[] | null = null;
  private names: ReadonlySet<string> = new Set();
  /** State loaded before the first step, which says what the variables are. */
  private pending: tf.NamedTensorMap = {};

  constructor({ momentum, weightDecay, decayNormAndBias, weights = [] }: SgdMomentumOptions) {
    check(momentum >= 0 && momentum < 1, 'momentum', 'a number in [0, 1)', momentum);
    check(weightDecay >= 0 && weightDecay < Infinity, 'weightDecay', 'a finite number ≥ 0', weightDecay);
    this.momentum = momentum;
    this.weightDecay = weightDecay;
    this.decayNormAndBias = decayNormAndBias;
    this.stateNames = new Map(weights.map((weight) => [weight.name, weight.originalName]));
  }

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
        const weightDecay = this.decays(group.members[0]!.variable) ? this.weightDecay : 0;
        group.update(gradients[i]!, { learningRate, momentum: this.momentum, weightDecay, gradientScale });
      });
      return norm;
    });
    return { gradNorm };
  }

  /** The velocities by name, fp32, each of its variable's shape, as new tensors; empty before the first step and without momentum. */
  state(): tf.NamedTensorMap {
    if (this.momentum === 0) return {};
    if (this.groups === null) return this.copy(this.pending);
    return Object.assign({}, ...this.groups.map((group) => group.state())) as tf.NamedTensorMap;
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
    for (const group of this.groups) group.loadState(state);
  }

  dispose(): void {
    tf.dispose(this.pending);
    this.pending = {};
    this.groups?.forEach((group) => group.dispose());
    this.groups = null;
  }

  private decays(variable: tf.Variable): boolean {
    return variable.rank > 1 || this.decayNormAndBias;
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
      if (Object.keys(this.pending).length > 0) for (const group of groups) group.loadState(this.pending);
      tf.dispose(this.pending);
      this.pending = {};
      this.groups = groups;
      this.names = new Set(names);
    }
    return groups;
  }

  /** Vectors form one group, since they share a decay; every other variable is its own. */
  private makeGroups(names: string[]): ParameterGroup[] {
    check(names.length > 0, 'grads', 'at least one gradient', 'none');
    const members = names.map((gradientName): NamedVariable => {
      const variable = tf.engine().registeredVariables[gradientName];
      if (variable === undefined) {
        throw new HyperArcError('E_RANGE', `grads: expected names of variables, received '${gradientName}'`);
      }
      return { gradientName, stateName: this.stateNames.get(gradientName) ?? gradientName, variable };
    });
    const vectors = members.filter(({ variable }) => variable.rank <= 1);
    const others = members.filter(({ variable }) => variable.rank > 1);
    return [
      ...others.map((m) => new ParameterGroup([m])),
      ...(vectors.length > 0 ? [new ParameterGroup(vectors)] : []),
    ];
  }

  private checkState(state: tf.NamedTensorMap, groups: readonly ParameterGroup[]): void {
    const members = new Map(groups.flatMap((group) => group.members).map((m) => [m.stateName, m.variable]));
    for (const [name, tensor] of Object.entries(state)) {
      const variable = members.get(name);
      if (variable === undefined) {
        throw new HyperArcError('E_FORMAT', `state: expected names of trained variables, received '${name}'`);
      }
      if (!tf.util.arraysEqual(variable.shape, tensor.shape)) {
        const shapes = `expected shape [${variable.shape}], received [${tensor.shape}]`;
        throw new HyperArcError('E_SHAPE', `state['${name}']: ${shapes}`);
      }
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
