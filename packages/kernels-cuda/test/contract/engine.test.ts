import { describe, it } from 'vitest';
import { loadAddon } from '../../dist/index.js';
import { cpuImplementation } from './engine-implementation.js';
import { describeContract } from './register.js';

for (const instructionSet of ['portable', 'avx2', 'avx512'] as const) {
  if (loadAddon().isaSupported(instructionSet)) {
    describeContract(cpuImplementation(instructionSet));
  } else {
    describe.skip(`contract: CPU engine, ${instructionSet}: this processor does not have it`, () =>
      it('skipped', () => {}));
  }
}
