import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, freemem, totalmem } from 'node:os';

import { addonStatus, listDevices, openDevice, type Precision } from '@hyperarc/kernels-cuda';

import { backendStatus, type BackendInfo } from '../backend/index.js';
import { installedRuntime } from '../data/detect/onnxSession.js';

/** A device of the engine, and what it runs. */
export interface DeviceFacts {
  name: string;
  kind: 'cpu' | 'cuda';
  index: number;
  instructionSet: string;
  threads: number;
  totalMemoryBytes: number;
  freeMemoryBytes: number;
  /** Of a GPU: precision and D → the kernels that the engine's table chooses there; or why it cannot be opened. */
  kernels?: Record<string, string> | { error: string };
}

/** What was found on this machine; undefined where a tool is not there. */
export interface MachineFacts {
  nodeVersion: string;
  processor: string;
  processorCount: number;
  totalMemoryBytes: number;
  freeMemoryBytes: number;
  compiler: string | undefined;
  cmake: string | undefined;
  nvcc: string | undefined;
  nvidiaDriver: string | undefined;
  addon: {
    path: string | undefined;
    buildDescription: string | undefined;
    whyNoCuda: string | undefined;
    /** Why the addon does not load; undefined when it does. */
    error: string | undefined;
    /** The command that mends it. */
    mend?: string | undefined;
  };
  devices: DeviceFacts[];
  /** The npm package that runs the ONNX files of face detectors. */
  onnxRuntime: string | undefined;
  backend: BackendInfo & { fix?: string };
}

/** First line of a tool's answer that has a version number in it. */
function toolVersion(command: string, args: string[]): string | undefined {
  const result = spawnSync(command, args, { encoding: 'utf8', timeout: 20_000 });
  if (result.status !== 0) return undefined;
  const lines = result.stdout.split('\n').map((line) => line.trim());
  return lines.find((line) => /\brelease \d|\bV\d/.test(line)) ?? lines.find((line) => /\d+\.\d+/.test(line));
}

function nvidiaDriverVersion(): string | undefined {
  const file = '/proc/driver/nvidia/version';
  if (existsSync(file)) return /Kernel Module\s+(?:for \S+\s+)?([\d.]+)/.exec(readFileSync(file, 'utf8'))?.[1];
  return toolVersion('nvidia-smi', ['--query-gpu=driver_version', '--format=csv,noheader']);
}

/** Shapes that people train: what the table chooses for them. A small buffer of each is made to ask. */
const ASKED_DIMS = [512, 256, 128];
const ASKED_BATCH = 1024;
/** Many, as far as the table cares: few have kernels of their own. */
const ASKED_CLASSES = 1024;
const ASKED_PRECISIONS: readonly Precision[] = ['fp32', 'bf16', 'bf16-master'];

function askGpu(index: number): Pick<DeviceFacts, 'kernels'> & { freeMemoryBytes?: number } {
  try {
    using device = openDevice(`cuda:${index}`);
    const chosen: Record<string, string> = {};
    for (const precision of ASKED_PRECISIONS) {
      for (const dim of ASKED_DIMS) {
        using centers = device.createCenters({ classes: ASKED_CLASSES, dim, precision });
        chosen[`${precision}, D ${dim}`] = centers.kernels(ASKED_BATCH);
      }
    }
    // Only an open device knows what is free.
    return { kernels: chosen, freeMemoryBytes: device.info.freeMemoryBytes };
  } catch (error) {
    return { kernels: { error: (error as Error).message } };
  }
}

function gatherDevices(): DeviceFacts[] {
  return listDevices().map((device) => (device.kind === 'cuda' ? { ...device, ...askGpu(device.index) } : device));
}

/** Asks the machine. Loads the addon into this process, and TensorFlow only in a child process. */
export function gatherFacts(): MachineFacts {
  const status = addonStatus();
  return {
    nodeVersion: process.versions.node,
    processor: cpus()[0]?.model.trim() ?? 'unknown processor',
    processorCount: availableParallelism(),
    totalMemoryBytes: totalmem(),
    freeMemoryBytes: freemem(),
    compiler: toolVersion(process.env['CXX'] ?? 'g++', ['--version']),
    cmake: toolVersion('cmake', ['--version']),
    nvcc: toolVersion(process.env['CUDACXX'] ?? 'nvcc', ['--version']),
    nvidiaDriver: nvidiaDriverVersion(),
    addon: {
      path: status.path,
      buildDescription: status.buildDescription,
      whyNoCuda: status.whyNoCuda,
      error: status.loaded ? undefined : (status.error ?? 'it was not found'),
      mend: status.mend,
    },
    devices: status.loaded ? gatherDevices() : [],
    onnxRuntime: installedRuntime(),
    backend: backendStatus(),
  };
}
