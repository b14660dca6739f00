import { createRequire } from 'node:module';
import util from 'node:util';

/** Why tfjs-node's backend cannot be used here; empty when it can. This package does not depend on it. */
export function loadTensorFlow(): string {
  // Node 23 took away what tfjs-node 4.22 calls.
  const legacy = util as unknown as Record<string, unknown>;
  legacy['isNullOrUndefined'] ??= (value: unknown) => value === null || value === undefined;
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  try {
    createRequire(import.meta.url)('@tensorflow/tfjs-node-gpu');
    return '';
  } catch (error) {
    return (error as Error).message.split('\n')[0];
  }
}
