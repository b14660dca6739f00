/** Margin-softmax heads on the HyperArc engine: CUDA where there is one, else the CPU. Needs Node and the native addon. */
export {
  listDevices,
  openDevice,
  type Device,
  type DeviceInfo,
  type DeviceSpec,
  type Kernels,
  type MemoryPlan,
} from '@hyperarc/kernels-cuda';
export {
  PartialFC,
  type Evaluation,
  type PartialFCBehaviour,
  type PartialFCOptions,
  type PartialFCState,
} from './partial-fc.js';
export { EngineCenterLoss, type EngineCenterLossOptions } from '../losses/engine-center-loss.js';
