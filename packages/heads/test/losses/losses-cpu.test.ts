import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll } from 'vitest';
import { describeLosses } from './suite.js';

beforeAll(() => tf.setBackend('cpu'));
describeLosses('cpu');
