export { addonStatus, loadAddon, type AddonAttempt, type AddonStatus } from './loader.js';
export { ClassCenters, type CentersOptions, type LoadOptions } from './centers.js';
export type { Seam } from './centers-passes.js';
export type { CentersBuffer } from './centers-buffers.js';
export type { RowNumbers } from './centers-rows.js';
export {
  Device,
  listDevices,
  openDevice,
  type DeviceInfo,
  type DeviceOptions,
  type DeviceSpec,
  type MemoryPlan,
  type PlanOptions,
} from './device.js';
export { HyperArcError, type HyperArcErrorOptions } from './errors.js';
export { checkMarginRule, type MarginRule, type NegativeBranch, type NegativeRule } from './margin.js';
export type { BatchOptions, ForwardResult, SampleOptions, TargetOptions, UpdateOptions } from './pass-options.js';
export type { CentersShape } from './shape.js';
export { Step } from './step.js';
export type {
  Fallback,
  GradientMode,
  HyperArcErrorCode,
  InstructionSet,
  Kernels,
  MarginFamily,
  NativeAddon,
  Optimizer,
  Precision,
  Unsampled,
} from './binding.js';
