/**
 * Child process of `backbones`: training steps of one network, from HyperArc's layers or from tfjs's own. Speaks the protocol of
 * ../protocol.ts; its specification is a BackboneSpec.
 */
import { createInterface } from 'node:readline';

import { createBackbone, initBackend, SgdMomentum, variableGradients } from '@hyperarc/trainer';
import * as tf from '@tensorflow/tfjs-core';

import type { BackboneSpec } from '../backbones.js';
import { processBytes, timeOnce } from '../measure.js';

const reply = (answer: object) => void process.stdout.write(`${JSON.stringify(answer)}\n`);

const spec = JSON.parse(process.argv[2]!) as BackboneSpec;
// Read by TensorFlow and oneDNN when they are loaded.
for (const setting of ['TF_NUM_INTRAOP_THREADS', 'OMP_NUM_THREADS']) process.env[setting] = String(spec.threads);
const { name, tensorflowVersion } = await initBackend('tensorflow');
const model = createBackbone({ name: spec.model, fused: spec.program === 'ours', seed: 1 });
const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
const optimizer = new SgdMomentum({ momentum: 0.9, weightDecay: 5e-4, decayNormAndBias: true });
const images = tf.randomUniform([spec.batch, 112, 112, 3], -1, 1, 'float32', 1);
const gradients = spec.program === 'ours' ? variableGradients : tf.variableGrads;
let gradNorm = 0;

/** Forward, backward from 1e-3·Σy², clipped to a norm of 5, and SGD with momentum. */
function step(): void {
  const { value, grads } = gradients(() => {
    const y = model.apply(images, { training: true }) as tf.Tensor;
    return tf.mul(tf.sum(tf.square(y)), 1e-3) as tf.Scalar;
  }, variables);
  ({ gradNorm } = optimizer.apply(grads, 1e-6, { clipNorm: 5 }));
  variables[0]!.dataSync();
  tf.dispose([value, grads]);
}

const parameters = model.weights.reduce((sum, { originalName, shape }) => {
  const counted = !/running_|moving_/.test(originalName);
  return counted ? sum + shape.reduce<number>((product, extent) => product * extent!, 1) : sum;
}, 0);
reply({ kind: 'ready', facts: { backend: `${name} ${tensorflowVersion}`, parameters } });
for await (const line of createInterface({ input: process.stdin })) {
  const { iterations } = JSON.parse(line) as { iterations: number };
  const samples = { elapsedMs: [] as number[], cpuMs: [] as number[] };
  for (let i = 0; i < iterations; i++) {
    const { elapsedMs, cpuMs } = await timeOnce(step);
    samples.elapsedMs.push(elapsedMs);
    samples.cpuMs.push(cpuMs);
  }
  reply({ kind: 'samples', ...samples });
}
if (!(gradNorm > 0 && gradNorm < Infinity))
  throw new Error(`gradient norm: expected a number > 0, received ${gradNorm}`);
reply({ kind: 'done', peakBytes: processBytes('VmHWM') });
