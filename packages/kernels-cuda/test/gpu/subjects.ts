import type { Device, DeviceSpec, Kernels, Precision } from '../../dist/index.js';
import { loadAddon, openDevice } from '../../dist/index.js';
import { cpuImplementation, cudaImplementation } from '../contract/engine-implementation.js';
import type { Implementation } from '../contract/implementation.js';

/** A way to run the engine: an implementation for contract cases, and the same as a device with a precision. */
export interface EngineSubject {
  readonly name: string;
  readonly precision: Precision;
  readonly implementation: Implementation;
  readonly open: () => Device;
}

const CUDA: readonly [Precision, Kernels][] = [
  ['fp32', 'auto'],
  ['bf16', 'auto'],
  ['bf16', 'plain'],
  ['bf16', 'mma'],
  ['bf16', 'wgmma'],
  ['bf16-master', 'auto'],
  ['bf16-master', 'plain'],
  ['bf16-master', 'mma'],
  ['bf16-master', 'wgmma'],
];

/** Every precision and kernel family of a GPU; every instruction set of this CPU. Families that the GPU lacks skip their checks. */
export function subjectsOf(device: DeviceSpec): EngineSubject[] {
  if (device === 'cpu') {
    const sets = (['portable', 'avx2', 'avx512'] as const).filter((isa) => loadAddon().isaSupported(isa));
    return sets.map((instructionSet) => {
      const implementation = cpuImplementation(instructionSet);
      const open = () => openDevice('cpu', { instructionSet, threads: 2 });
      return { name: implementation.name, precision: 'fp32', implementation, open };
    });
  }
  return CUDA.map(([precision, kernels]) => {
    const implementation = cudaImplementation(precision, kernels, undefined, device);
    return { name: implementation.name, precision, implementation, open: () => openDevice(device, { kernels }) };
  });
}
