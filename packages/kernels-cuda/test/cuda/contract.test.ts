/** The contract suite on the CUDA engine, in every precision, with the kernels that every device has. */
import { describeRuns } from './runs.js';

describeRuns([
  { precision: 'fp32', kernels: 'plain', kernel: 'plain-fp32' },
  { precision: 'bf16', kernels: 'plain', kernel: 'plain-bf16' },
  { precision: 'bf16', kernels: 'mma', kernel: 'mma-bf16-d128' },
  { precision: 'bf16-master', kernels: 'mma', kernel: 'mma-bf16-d128' },
]);
