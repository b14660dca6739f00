/** The contract suite on the CUDA engine, in every precision and kernel family that the device has. */
import { openDevice, type Kernels, type Precision } from '../../dist/index.js';
import { expect, it } from 'vitest';

import { cudaImplementation } from '../contract/engine-implementation.js';
import { describeContract } from '../contract/register.js';
import { cuda, describeCuda, isEmulated } from './support.js';

/** The harness runs a thread at a time: a case may take this many products there. */
const EMULATED_PRODUCTS = 1e9;

const RUNS: { precision: Precision; kernels: Kernels; kernel: string }[] = [
  { precision: 'fp32', kernels: 'plain', kernel: 'plain-fp32' },
  { precision: 'bf16', kernels: 'plain', kernel: 'plain-bf16' },
  { precision: 'bf16', kernels: 'mma', kernel: 'mma-bf16-d128' },
  { precision: 'bf16-master', kernels: 'mma', kernel: 'mma-bf16-d128' },
  ...(cuda?.instructionSet === 'sm_90a' && !isEmulated
    ? ([
        { precision: 'bf16', kernels: 'wgmma', kernel: 'wgmma-bf16-d128' },
        { precision: 'bf16-master', kernels: 'wgmma', kernel: 'wgmma-bf16-d128' },
      ] as const)
    : []),
];

for (const { precision, kernels, kernel } of RUNS) {
  describeCuda(`CUDA, ${precision}, ${kernels}`, () => {
    it(`runs ${kernel}`, () => {
      using device = openDevice('cuda:0', { kernels });
      using centers = device.createCenters({ classes: 9, dim: 24, precision });
      expect(centers.kernels(13)).toBe(kernel);
    });
    describeContract(cudaImplementation(precision, kernels, isEmulated ? EMULATED_PRODUCTS : undefined));
  });
}
