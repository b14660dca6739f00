import type { CentersShape } from '@hyperarc/kernels-cuda';

import { headOptimizer, type Config } from '../config/index.js';

/** The class centres of a run: what the head is made with, and what its memory is planned by. */
export function headShape(
  { head, backbone, optimizer }: Pick<Config, 'head' | 'backbone' | 'optimizer'>,
  classes: number,
): CentersShape & Required<Pick<CentersShape, 'subCenters' | 'precision' | 'optimizer'>> {
  const { subCenters, precision } = head;
  return { classes, subCenters, dim: backbone.embeddingSize, precision, optimizer: headOptimizer(optimizer).kind };
}
