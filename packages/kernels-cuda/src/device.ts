import type {
  InstructionSet,
  Kernels,
  NativeDeviceInfo,
  NativeEngine,
  NativeEngineConfig,
  NativePlan,
} from './binding.js';
import { backstop } from './backstop.js';
import { ClassCenters, type CentersOptions } from './centers.js';
import { describeValue, requireInteger, requireObject, requireOneOf, requireRate } from './checks.js';
import { callNative, HyperArcError } from './errors.js';
import { loadAddon } from './loader.js';
import { MAX_CLASSES, toNativeConfig, type CentersShape } from './shape.js';

/** 'auto' is the first CUDA device that can be used, else the CPU; `device.info` says which it is. */
export type DeviceSpec = 'auto' | 'cpu' | `cuda:${number}`;
/** A device of this machine: kind, name, instruction set, memory in bytes, threads. */
export type DeviceInfo = NativeDeviceInfo;
/** Bytes by part, what stays (`persistentBytes`), the most at any time (`peakBytes`), and whether the device has that free. */
export type MemoryPlan = NativePlan;

export interface DeviceOptions {
  /** Instruction set of the CPU engine; 'auto' (default) takes the best that the processor has. */
  readonly instructionSet?: InstructionSet;
  /** Threads of the CPU engine in [0, 1024]; 0 (default) is one for each processor. Never changes a result. */
  readonly threads?: number;
  /**
   * Kernel family of the CUDA engine: 'auto' (default) takes the table's choice for the device, D, K, precision and the numbers of samples and
   * classes; 'plain', 'mma' and 'wgmma' insist, and answer E_DEVICE or E_RANGE where that family cannot run. 'wgmma' takes steps of few
   * samples, classes or dimensions too, with the errors that docs/numerics.md ("Tolerances") gives. {@link ClassCenters.kernels} says what
   * runs.
   */
  readonly kernels?: Kernels;
}

export interface PlanOptions extends CentersShape {
  /** B ≥ 1: samples in a micro-batch. */
  readonly batch: number;
  /** Partial-FC rate in (0, 1]; 1 by default. */
  readonly rate?: number;
}

const KERNELS: readonly Kernels[] = ['auto', 'plain', 'mma', 'wgmma'];
const INSTRUCTION_SETS: readonly InstructionSet[] = ['auto', 'portable', 'avx2', 'avx512'];

/** The devices that this build can use on this machine; the CPU is the first. @throws HyperArcError E_DEVICE without an addon. */
export function listDevices(): DeviceInfo[] {
  const addon = loadAddon();
  return callNative(() => addon.listDevices());
}

function parseSpec(spec: unknown): Pick<NativeEngineConfig, 'kind' | 'index'> {
  if (spec === 'cpu') return { kind: 'cpu', index: 0 };
  const match = typeof spec === 'string' ? /^cuda:(\d{1,3})$/.exec(spec) : null;
  if (!match) {
    throw new HyperArcError('E_RANGE', `device: expected 'auto', 'cpu' or 'cuda:N', received ${describeValue(spec)}`);
  }
  return { kind: 'cuda', index: Number(match[1]) };
}

/**
 * Opens a device: an engine with its own native thread.
 * @throws HyperArcError E_RANGE for a spec or option that does not exist, E_DEVICE where the device cannot be used.
 */
export function openDevice(spec: DeviceSpec = 'auto', options: DeviceOptions = {}): Device {
  requireObject('options', options);
  const instructionSet = requireOneOf('instructionSet', options.instructionSet ?? 'auto', INSTRUCTION_SETS);
  const threads = requireInteger('threads', options.threads ?? 0, 0, 1024);
  const kernels = requireOneOf('kernels', options.kernels ?? 'auto', KERNELS);
  const addon = loadAddon();
  const choices = { instructionSet, threads, kernels };
  if (spec === 'auto') return openAutomatically(choices);
  const where = parseSpec(spec);
  if (where.kind === 'cpu') requireNoKernels(kernels, '');
  return new Device(callNative(() => addon.createEngine({ ...where, ...choices })));
}

type Choices = Pick<NativeEngineConfig, 'instructionSet' | 'threads' | 'kernels'>;

function requireNoKernels(kernels: Kernels, why: string): void {
  if (kernels === 'auto') return;
  throw new HyperArcError('E_RANGE', `kernels: expected 'auto' on the CPU engine, received '${kernels}'${why}`);
}

/** The first CUDA device that opens, else the CPU: with a warning where there is a CUDA device, but none that can be used. */
function openAutomatically(choices: Choices): Device {
  const addon = loadAddon();
  let why = addon.whyNoCuda();
  for (const { kind, index } of listDevices()) {
    if (kind !== 'cuda') continue;
    try {
      return new Device(callNative(() => addon.createEngine({ kind, index, ...choices })));
    } catch (error) {
      if (!(error instanceof HyperArcError) || error.code !== 'E_DEVICE') throw error;
      why = error.message;
    }
  }
  requireNoKernels(choices.kernels, `; 'auto' is the CPU here: ${why}`);
  if (why.startsWith('E_DEVICE')) process.emitWarning(`HyperArc runs on the CPU: ${why}`, 'HyperArcWarning');
  return new Device(callNative(() => addon.createEngine({ kind: 'cpu', index: 0, ...choices })));
}

/** An open device. Class centres of one device share its one native thread; their operations run in the order of the calls. */
export class Device {
  readonly #engine: NativeEngine;

  /** Use {@link openDevice}. */
  constructor(engine: NativeEngine) {
    this.#engine = engine;
    backstop(this, engine, 'Device');
  }

  /** Whether `value` is a real device, and not an object made to look like one. */
  static isDevice(value: unknown): value is Device {
    return typeof value === 'object' && value !== null && #engine in value;
  }

  /** What it is. Memory is as of the last time the device was idle. */
  get info(): DeviceInfo {
    return callNative(() => this.#engine.device);
  }

  get disposed(): boolean {
    return this.#engine.state === 'disposed';
  }

  /** @internal The engine, for the package's own modules. */
  get native(): NativeEngine {
    return this.#engine;
  }

  /**
   * Bytes by part before anything is taken.
   * @throws HyperArcError E_RANGE naming the field, E_DISPOSED.
   */
  plan(options: PlanOptions): MemoryPlan {
    const config = toNativeConfig(options);
    const batch = requireInteger('batch', options.batch, 1, MAX_CLASSES);
    const rate = requireRate(options.rate ?? 1);
    return callNative(() => this.#engine.plan(config, batch, rate));
  }

  /** Class centres on this device; see {@link ClassCenters.create}. */
  createCenters(options: Omit<CentersOptions, 'device'>): ClassCenters {
    return ClassCenters.create({ ...options, device: this });
  }

  /**
   * Disposes the device with its class centres and steps. Operations in flight finish and settle their promises; whatever is called
   * afterwards answers E_DISPOSED. A second call does nothing.
   */
  dispose(): void {
    callNative(() => this.#engine.dispose());
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
