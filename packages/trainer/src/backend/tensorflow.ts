import { createRequire } from 'node:module';
import util from 'node:util';

import { installedBinding, probeBinding, readState, SETUP_COMMAND } from '../../setup/setup-tensorflow.mjs';

const require = createRequire(import.meta.url);

export interface TensorFlowAnswer {
  /** Why TensorFlow cannot be used, in a sentence; undefined when it can. */
  reason?: string;
  tensorflowVersion?: string;
  usesGpu?: boolean;
}

/** tfjs-node 4.22 calls two functions of util that Node 23 has removed or made noisy. */
function restoreRemovedUtilFunctions(): void {
  const legacy = util as unknown as Record<string, unknown>;
  legacy['isNullOrUndefined'] ??= (value: unknown) => value === null || value === undefined;
  legacy['isArray'] = Array.isArray;
}

/** Settings that TensorFlow reads when it is loaded; what the user has set stays. */
function presetEnvironment(): void {
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  // Without it TensorFlow takes the whole GPU and leaves the engine none.
  process.env['TF_FORCE_GPU_ALLOW_GROWTH'] ??= 'true';
}

/**
 * Whether TensorFlow will load here. A binding that the set-up built has been tried by it; any other is tried in a child
 * process, so that one that crashes costs a message and not this process.
 */
export function askTensorFlow(): TensorFlowAnswer {
  const state = readState();
  if (state.ready) {
    return { tensorflowVersion: state.tensorflowVersion!, usesGpu: state.usesGpu ?? false };
  }
  if (installedBinding() === undefined) {
    return { reason: state.reason ?? `TensorFlow was never set up; run ${SETUP_COMMAND}` };
  }
  try {
    return probeBinding();
  } catch (error) {
    return { reason: `the installed TensorFlow binding does not load: ${(error as Error).message}` };
  }
}

/** Loads @tensorflow/tfjs-node-gpu into this process, which registers the `tensorflow` backend. Throws what it throws. */
export function loadTensorFlow(): void {
  restoreRemovedUtilFunctions();
  presetEnvironment();
  require('@tensorflow/tfjs-node-gpu');
}
