/**
 * The contract suite on the kernels of sm_90a, where the build has them and the device runs them; and its few terms, which wgmma leaves to
 * others, on what the table chooses there.
 */
import './emulate-hopper.js';

import { describe, it } from 'vitest';

import { ClassCenters, HyperArcError } from '../../dist/index.js';
import { fewCases } from '../contract/cases-few.js';
import { cudaImplementation } from '../contract/engine-implementation.js';
import { describeRuns } from './runs.js';
import { cuda } from './support.js';

/** Why they cannot run here; empty if they can. */
function whyNoWgmma(): string {
  if (cuda === undefined) return 'no CUDA device';
  try {
    ClassCenters.create({ classes: 2, dim: 8, precision: 'bf16', device: 'cuda:0', kernels: 'wgmma' }).dispose();
    return '';
  } catch (error) {
    if (error instanceof HyperArcError && error.code === 'E_DEVICE') return error.message;
    throw error;
  }
}

const why = whyNoWgmma();
if (why === '') {
  describeRuns([
    { precision: 'bf16', kernels: 'wgmma', kernel: 'wgmma-bf16-d128' },
    { precision: 'bf16-master', kernels: 'wgmma', kernel: 'wgmma-bf16-d128' },
  ]);
  describe.each(['bf16', 'bf16-master'] as const)('CUDA, %s, auto, few terms', (precision) => {
    const implementation = cudaImplementation(precision, 'auto');
    for (const one of fewCases(implementation)) it(one.name, () => one.run(implementation));
  });
} else {
  describe.skip(`CUDA, bf16, wgmma: ${why}`, () => it('skipped', () => {}));
}
