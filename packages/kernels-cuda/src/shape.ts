import type { NativeCentersConfig, Optimizer, Precision } from './binding.js';
import { describeValue, requireInteger, requireObject, requireOneOf } from './checks.js';
import { HyperArcError } from './errors.js';

/** The shape of class centres: W [C, K, D]. */
export interface CentersShape {
  /** C ≥ 1: classes that the device owns. */
  readonly classes: number;
  /** D in [1, 4096]. */
  readonly dim: number;
  /** K in [1, 16]; 1 by default. The class logit is the maximum over K. */
  readonly subCenters?: number;
  /** 'fp32' by default. */
  readonly precision?: Precision;
  /** What `update` moves the centres by: 'sgd' (default) with momentum, or 'adamw', torch.optim.AdamW with two moments a weight. */
  readonly optimizer?: Optimizer;
  /** Hold a momentum buffer; true by default, and always with 'adamw'. */
  readonly momentum?: boolean;
  /** Global index of the first owned class; 0 by default. */
  readonly firstClass?: number;
  /** Classes of all shards together; `classes` by default. */
  readonly globalClasses?: number;
}

/** Labels are int32, so no problem has more classes. */
export const MAX_CLASSES = 2 ** 31 - 1;
const PRECISIONS: readonly Precision[] = ['fp32', 'bf16', 'bf16-master'];
const OPTIMIZERS: readonly Optimizer[] = ['sgd', 'adamw'];

/** @throws HyperArcError E_RANGE naming the field. */
export function toNativeConfig(shape: CentersShape): NativeCentersConfig {
  requireObject('options', shape);
  const classes = requireInteger('classes', shape.classes, 1, MAX_CLASSES);
  const firstClass = requireInteger('firstClass', shape.firstClass ?? 0, 0, MAX_CLASSES);
  const globalClasses = requireInteger('globalClasses', shape.globalClasses ?? firstClass + classes, 1, MAX_CLASSES);
  const momentum = shape.momentum ?? true;
  if (typeof momentum !== 'boolean') {
    throw new HyperArcError('E_RANGE', `momentum: expected true or false, received ${describeValue(momentum)}`);
  }
  const optimizer = requireOneOf('optimizer', shape.optimizer ?? 'sgd', OPTIMIZERS);
  if (optimizer === 'adamw' && !momentum) {
    const expected = "true with optimizer 'adamw', which holds both moments";
    throw new HyperArcError('E_RANGE', `momentum: expected ${expected}, received false; leave it out`);
  }
  if (firstClass + classes > globalClasses) {
    throw new HyperArcError(
      'E_RANGE',
      `globalClasses: expected at least firstClass + classes = ${firstClass + classes}, received ${globalClasses}`,
    );
  }
  return {
    classes,
    dim: requireInteger('dim', shape.dim, 1, 4096),
    subCenters: requireInteger('subCenters', shape.subCenters ?? 1, 1, 16),
    precision: requireOneOf('precision', shape.precision ?? 'fp32', PRECISIONS),
    optimizer,
    momentum,
    firstClass,
    globalClasses,
  };
}
