import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';
import { listDevices } from '@hyperarc/kernels-cuda';
import * as tf from '@tensorflow/tfjs-core';

import type { BackendInfo } from '../backend/index.js';

/** Facts for whoever wants to repeat a run: name → value, in the order to show them. */
export type Environment = Record<string, string>;

/** The commit of the repository that holds `folder`, with "+ changes" if files differ; undefined outside a repository. */
export function gitCommit(folder: string): string | undefined {
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', folder, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    return git('rev-parse', 'HEAD') + (git('status', '--porcelain', '--untracked-files=no') === '' ? '' : ' + changes');
  } catch {
    return undefined;
  }
}

/** HyperArc's engines here, or why there is none. */
function engines(): string {
  try {
    return listDevices()
      .map(({ kind, index, name, instructionSet, threads }) =>
        kind === 'cpu' ? `cpu (${instructionSet}, ${threads} threads)` : `${kind}:${index} ${name} (${instructionSet})`,
      )
      .join(', ');
  } catch (error) {
    return `none: ${(error as Error).message}`;
  }
}

const backendText = ({ name, tensorflowVersion, usesGpu }: BackendInfo): string =>
  tensorflowVersion === undefined ? name : `${name} ${tensorflowVersion} on the ${usesGpu ? 'GPU' : 'CPU'}`;

/** What this process runs on; with `backend`, as initBackend answered, the tfjs backend too. */
export function collectEnvironment(backend?: BackendInfo): Environment {
  const processors = cpus();
  const commit = gitCommit(import.meta.dirname);
  return {
    CPU: `${processors[0]?.model.trim() ?? 'unknown'}, ${processors.length} processors`,
    Memory: `${(totalmem() / 2 ** 30).toFixed(1)} GiB`,
    System: `${process.platform} ${process.arch}, ${release()}`,
    'Node.js': process.versions.node,
    'TensorFlow.js': tf.version_core + (backend === undefined ? '' : `, backend ${backendText(backend)}`),
    Engine: engines(),
    ...(commit !== undefined && { Commit: commit }),
  };
}
