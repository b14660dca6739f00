import type { Size } from './data.js';
import { problem } from './data.js';
import { expectProblem } from './expectations.js';
import type { Implementation } from './implementation.js';
import { SIZES } from './sizes.js';
import type { ContractCase } from './suite.js';

/** ArcFace as published on the grid of sizes. */
export function sizeCases({ maxSubCenters, maxProducts = Infinity }: Implementation): ContractCase[] {
  const fits = ({ batch, classes, dim, subCenters = 1 }: Size) =>
    subCenters <= maxSubCenters && batch * classes * dim * subCenters <= maxProducts;
  return SIZES.filter(fits).map((size) => {
    const { batch, classes, dim, subCenters = 1, why } = size;
    return {
      group: 'sizes',
      name: `B ${batch}, C ${classes}, K ${subCenters}, D ${dim}: ${why}`,
      run: (implementation) => expectProblem(implementation, problem(100 + batch + classes + dim, size)),
    };
  });
}
