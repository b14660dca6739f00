/**
 * How the runner and a GPU case's child process talk: as in ../protocol.ts, one JSON object a line. peers/gpu_head.py speaks the same.
 */
import type { GpuAxes, GpuProgram } from './cases.js';

export interface GpuSpec {
  program: GpuProgram;
  axes: GpuAxes;
  /** 'cuda:N', or 'cpu' to try the harness. */
  device: string;
  checksRows: boolean;
}

/** Milliseconds of each iteration. `device`: by the device's events; the wall clock where there are none (the ready facts say which). */
export interface GpuSamples {
  kind: 'samples';
  deviceMs: number[];
  wallMs: number[];
}

export interface GpuDone {
  kind: 'done';
  /** Most device memory taken beyond weights, momentum and `copyBytes`; undefined where it cannot be told. */
  extraBytes?: number;
  /** A bf16 copy of the weights that stays, 0 for none. */
  copyBytes: number;
  /** loss, and what else the last iterations found. */
  facts: Record<string, string | number>;
}
