import { indicesWhere } from './indices-where.js';
import type { SubCenterReport } from './sub-center-report.js';

/** A labelled set without its dropped samples and empty classes, for training again with K = 1. */
export interface CleanedSet {
  /** [M] indices of the kept samples in the order in which they came to the report, ascending */
  readonly samples: Int32Array;
  /** [M] their labels among the classes that are left */
  readonly labels: Int32Array;
  /** Number of classes that are left */
  readonly classes: number;
  /** [C] new index of each old class, −1 where none of it is left */
  readonly classOf: Int32Array;
  /**
   * [classes] row number class·K + k of each left class's dominant sub-centre, to start its single centre from:
   * `newHead.centers.writeRows(0, oldHead.centers.readRowsAt('weights', rows))`
   */
  readonly dominantRows: Float64Array;
}

/**
 * What a {@link subCenterReport} says to keep. Classes that are left keep their order and are numbered from 0. Deng et al., "Sub-center
 * ArcFace", ECCV 2020, §3.3: the network is then trained again on this set, with K = 1.
 */
export function dropNoise(report: SubCenterReport): CleanedSet {
  const { classes, subCenters, labels, keep, keptOfClass, dominant } = report;
  const left = indicesWhere(keptOfClass, (count) => count > 0);
  const classOf = new Int32Array(classes).fill(-1);
  left.forEach((old, j) => (classOf[old] = j));
  const samples = indicesWhere(keep, (flag) => flag === 1);
  return {
    samples,
    labels: samples.map((i) => classOf[labels[i]!]!),
    classes: left.length,
    classOf,
    dominantRows: Float64Array.from(left, (old) => old * subCenters + dominant[old]!),
  };
}
