/** The choice of the tfjs backend that the backbone runs on. */
import { HyperArcError } from '@hyperarc/kernels-cuda';
import { registerWasmKernels } from '@hyperarc/kernels-cuda/ops';
import * as tf from '@tensorflow/tfjs-core';
// Registers the gradients of tfjs's ops, which tfjs-core alone does not.
import '@tensorflow/tfjs-layers';

import { SETUP_COMMAND, WASM_COST } from '../../setup/setup-tensorflow.mjs';
import { askTensorFlow, loadTensorFlow } from './tensorflow.js';

export type BackendChoice = 'auto' | 'tensorflow' | 'wasm' | 'cpu';

export interface BackendInfo {
  name: 'tensorflow' | 'wasm' | 'cpu';
  tensorflowVersion?: string;
  /** TensorFlow runs on a GPU. */
  usesGpu?: boolean;
  /** Why it is not TensorFlow, when the choice was left open. */
  reason?: string;
  /** Why convolutions cannot be trained on this backend; undefined when they can. */
  cannotTrain?: string;
}

const CHOICES: readonly BackendChoice[] = ['auto', 'tensorflow', 'wasm', 'cpu'];

async function useWasm(): Promise<BackendInfo> {
  await import('@tensorflow/tfjs-backend-wasm');
  await tf.setBackend('wasm');
  try {
    registerWasmKernels();
  } catch (error) {
    if (!(error instanceof HyperArcError)) throw error;
    return { name: 'wasm', cannotTrain: `wasm needs HyperArc's addon for its gradients: ${error.message}` };
  }
  return { name: 'wasm' };
}

async function useTensorFlow(): Promise<BackendInfo> {
  loadTensorFlow();
  await tf.setBackend('tensorflow');
  const backend = tf.backend() as unknown as { binding: { TF_Version: string }; isUsingGpuDevice: boolean };
  return {
    name: 'tensorflow',
    tensorflowVersion: backend.binding.TF_Version,
    usesGpu: Boolean(backend.isUsingGpuDevice),
  };
}

/**
 * Loads a backend and makes it tfjs's current one. `auto` takes TensorFlow where it loads, else WebAssembly with HyperArc's
 * gradient kernels, and tells `log` in one line why and what that costs.
 *
 * @throws HyperArcError E_RANGE for a name that is no backend; E_DEVICE when `tensorflow` is asked for and does not load.
 */
export async function initBackend(
  choice: BackendChoice = 'auto',
  log: (line: string) => void = (line) => process.stderr.write(`${line}\n`),
): Promise<BackendInfo> {
  if (!CHOICES.includes(choice)) {
    throw new HyperArcError('E_RANGE', `backend: expected one of ${CHOICES.join(', ')}, received ${String(choice)}`);
  }
  // tfjs's advice on backends is ours to give.
  tf.env().set('PROD', true);
  if (choice === 'cpu') {
    await import('@tensorflow/tfjs-backend-cpu');
    await tf.setBackend('cpu');
    return { name: 'cpu' };
  }
  if (choice === 'wasm') return useWasm();

  let { reason } = askTensorFlow();
  if (reason === undefined) {
    try {
      return await useTensorFlow();
    } catch (error) {
      reason = `TensorFlow failed to load: ${(error as Error).message}`;
    }
  }
  if (choice === 'tensorflow') {
    throw new HyperArcError('E_DEVICE', `backend: expected TensorFlow to load, but ${reason}`);
  }
  const info = { ...(await useWasm()), reason };
  log(`No TensorFlow: ${reason}; ${WASM_COST}.`);
  if (info.cannotTrain !== undefined) log(info.cannotTrain);
  return info;
}

/** What `auto` would take, for `hyperarc doctor`; loads nothing into this process. */
export function backendStatus(): BackendInfo & { fix?: string } {
  const answer = askTensorFlow();
  if (answer.reason === undefined) {
    return { name: 'tensorflow', tensorflowVersion: answer.tensorflowVersion!, usesGpu: answer.usesGpu ?? false };
  }
  return { name: 'wasm', reason: answer.reason, fix: `${SETUP_COMMAND} --force` };
}
