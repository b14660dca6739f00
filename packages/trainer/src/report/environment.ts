import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';
import * as tf from '@tensorflow/tfjs-core';

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

/** What this process runs on. `more` is shown after it, for example the engine's instruction set and TensorFlow's version. */
export function collectEnvironment(more: Environment = {}): Environment {
  const processors = cpus();
  const commit = gitCommit(import.meta.dirname);
  return {
    CPU: `${processors[0]?.model.trim() ?? 'unknown'}, ${processors.length} processors`,
    Memory: `${(totalmem() / 2 ** 30).toFixed(1)} GiB`,
    System: `${process.platform} ${process.arch}, ${release()}`,
    'Node.js': process.versions.node,
    'TensorFlow.js': `${tf.version_core}, ${tf.getBackend() ? `backend ${tf.getBackend()}` : 'no backend loaded'}`,
    ...(commit !== undefined && { Commit: commit }),
    ...more,
  };
}
