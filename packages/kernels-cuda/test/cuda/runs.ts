import { expect, it } from 'vitest';

import { openDevice, type Kernels, type Precision } from '../../dist/index.js';
import { cudaImplementation } from '../contract/engine-implementation.js';
import { describeContract } from '../contract/register.js';
import { describeCuda } from './support.js';

/** A precision and a kernel family, with the name of what then runs rows of up to 128 columns. */
export interface Run {
  readonly precision: Precision;
  readonly kernels: Kernels;
  readonly kernel: string;
}

/** The whole contract suite for each run. */
export function describeRuns(runs: readonly Run[]): void {
  for (const { precision, kernels, kernel } of runs) {
    describeCuda(`CUDA, ${precision}, ${kernels}`, () => {
      it(`runs ${kernel}`, () => {
        using device = openDevice('cuda:0', { kernels });
        using centers = device.createCenters({ classes: 9, dim: 24, precision });
        expect(centers.kernels(13)).toBe(kernel);
      });
      describeContract(cudaImplementation(precision, kernels));
    });
  }
}
