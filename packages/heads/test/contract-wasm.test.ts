import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll } from 'vitest';
import { describeContract } from '../../kernels-cuda/test/contract/register.js';
import { tfjsImplementation } from './tfjs-implementation.js';

beforeAll(() => tf.setBackend('wasm'));
describeContract(tfjsImplementation('wasm'));
