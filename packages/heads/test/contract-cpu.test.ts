import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll } from 'vitest';
import { describeContract } from '../../kernels-cuda/test/contract/register.js';
import { tfjsImplementation } from './tfjs-implementation.js';

beforeAll(() => tf.setBackend('cpu'));
describeContract(tfjsImplementation('cpu'));
