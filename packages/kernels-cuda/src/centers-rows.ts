import type { NativePlan } from './binding.js';
import { BUFFERS, type CentersBuffer } from './centers-buffers.js';
import { CentersObject } from './centers-object.js';
import {
  describeValue,
  requireFloat32,
  requireInteger,
  requireObject,
  requireOneOf,
  requireStddev,
  requireUint64,
} from './checks.js';
import { HyperArcError } from './errors.js';
import { MAX_CLASSES } from './shape.js';

/** Rows by number: row r is sub-centre r mod K of class ⌊r/K⌋. */
export type RowNumbers = Float64Array | readonly number[];

function toFloat64(rows: RowNumbers): Float64Array {
  if (rows instanceof Float64Array) return rows;
  if (Array.isArray(rows) && rows.every((row) => typeof row === 'number')) return Float64Array.from(rows);
  const expected = 'a Float64Array or an array of numbers';
  throw new HyperArcError('E_DTYPE', `rows: expected ${expected}, received ${describeValue(rows)}`);
}

/** Class centres as rows of their buffers that can be filled, read and written. */
export abstract class CentersRows extends CentersObject {
  /** Fills the weights with N(0, stddev²) anew and clears the optimizer's state. @throws HyperArcError E_RANGE, E_BUSY, E_DISPOSED. */
  seed(seed: number | bigint, stddev = 0.01): void {
    const [seed64, deviation] = [requireUint64('seed', seed), requireStddev(stddev)];
    this.change(() => this.native.seedNormal(seed64, deviation));
  }

  /**
   * Sets the number of AdamW's updates, {@link updates}, to go on from moments that were written to the rows.
   * @throws HyperArcError E_RANGE, also for centres that 'sgd' moves; E_BUSY, E_DISPOSED.
   */
  setUpdates(updates: number): void {
    requireInteger('updates', updates, 0, Number.MAX_SAFE_INTEGER);
    this.change(() => this.native.setUpdates(updates));
  }

  /**
   * Rows [firstRow, firstRow + rowCount) as a new array [rowCount, D]. Row r is sub-centre r mod K of class ⌊r/K⌋.
   * @throws HyperArcError E_RANGE, E_BUSY, E_DISPOSED.
   */
  readRows(firstRow: number, rowCount: number, buffer: CentersBuffer = 'weights'): Float32Array {
    requireOneOf('buffer', buffer, BUFFERS);
    return this.call(() => this.native.readRows(buffer, firstRow, rowCount));
  }

  /**
   * Writes `values` [n, D], n ≥ 1, to the rows from `firstRow` on; those of a second moment are at least 0.
   * @throws HyperArcError E_SHAPE, E_RANGE, E_NONFINITE, E_BUSY, E_DISPOSED.
   */
  writeRows(firstRow: number, values: Float32Array, buffer: CentersBuffer = 'weights'): void {
    requireOneOf('buffer', buffer, BUFFERS);
    requireFloat32('values', values);
    this.change(() => this.native.writeRows(buffer, firstRow, values));
  }

  /**
   * The rows numbered class·K + k in `rows`, n ≥ 1, in that order, as a new array [n, D]; a row may come twice.
   * @throws HyperArcError E_SHAPE, E_DTYPE, E_RANGE, E_MEMORY with `plan`, E_BUSY, E_DISPOSED.
   */
  readRowsAt(buffer: CentersBuffer, rows: RowNumbers): Float32Array {
    requireOneOf('buffer', buffer, BUFFERS);
    const numbers = toFloat64(rows);
    return this.call(() => this.native.readRowsAt(buffer, numbers));
  }

  /**
   * Writes `values` [n, D] to the rows numbered class·K + k in `rows`, n ≥ 1, each of them once. All or none are written.
   * @throws HyperArcError E_SHAPE, E_DTYPE, E_RANGE, E_NONFINITE, E_BUSY, E_DISPOSED.
   */
  writeRowsAt(buffer: CentersBuffer, rows: RowNumbers, values: Float32Array): void {
    requireOneOf('buffer', buffer, BUFFERS);
    const numbers = toFloat64(rows);
    requireFloat32('values', values);
    this.change(() => this.native.writeRowsAt(buffer, numbers, values));
  }

  /**
   * Keeps the first min(old, new) classes; new ones get the values that `create` with this seed would have given them, and
   * momentum or moments of zero; AdamW's number of updates stays. Seed and stddev are those of the creation by default.
   * @throws HyperArcError E_RANGE, E_MEMORY with the `plan` of the new centres, E_BUSY, E_DISPOSED.
   */
  resize(classes: number, options: { readonly seed?: number | bigint; readonly stddev?: number } = {}): void {
    requireInteger('classes', classes, 1, MAX_CLASSES);
    requireObject('options', options);
    const seed = requireUint64('seed', options.seed ?? this.config.seed);
    const stddev = requireStddev(options.stddev ?? this.config.stddev);
    this.change(
      () => this.native.resize(classes, seed, stddev),
      () => this.#planOfClasses(classes),
    );
  }

  /** The same centres with other classes, which the call has found to be in its range. */
  #planOfClasses(classes: number): NativePlan {
    const { config } = this.native;
    const globalClasses = Math.max(config.globalClasses, config.firstClass + classes);
    return this.device.native.plan({ ...config, classes, globalClasses }, 1, 1);
  }
}
