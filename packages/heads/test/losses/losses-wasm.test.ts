import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll } from 'vitest';
import { describeLosses } from './suite.js';

beforeAll(() => tf.setBackend('wasm'));
describeLosses('wasm');
