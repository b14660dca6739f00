/** HyperArc's operations for TensorFlow.js. */
export {
  marginSoftmax,
  marginSoftmaxPath,
  type MarginSoftmaxOptions,
  type MarginSoftmaxResult,
} from './margin-softmax.js';
export { registerWasmKernels } from '../wasm/index.js';
