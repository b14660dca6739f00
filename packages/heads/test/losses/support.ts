import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import type { InputName, LossCase } from './cases.js';
import type { Inputs, Rows } from './reference.js';

/** Numbers in (−1, 1) that depend on `seed` alone. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

export interface Problem {
  readonly inputs: Inputs;
  readonly labels: readonly number[];
}

/** Samples around class directions, with a near match, a near match of another identity, a long row and a short one. */
export function makeProblem(seed: number, batch: number, classes: number, dim: number): Problem {
  const random = randomNumbers(seed);
  const normal = () => random() + random() + random();
  const labels = Array.from({ length: batch }, (_, i) => (i * 7 + (i >> 2)) % classes);
  const directions = Array.from({ length: classes }, () => Array.from({ length: dim }, normal));
  const embeddings = labels.map((label) => directions[label].map((value) => value + 0.5 * normal()));
  const same = labels.indexOf(labels[0], 1);
  if (same > 0) embeddings[same] = embeddings[0].map((value) => value + 0.02 * normal());
  const other = labels.findIndex((label) => label !== labels[0]);
  if (other > 0) embeddings[other] = embeddings[0].map((value) => value + 0.05 * normal());
  if (batch > 5) embeddings[4] = embeddings[4].map((value) => 20 * value);
  if (batch > 6) embeddings[5] = embeddings[5].map((value) => value / 20);
  const centers = directions.map((direction) => direction.map((value) => value + 0.3 * normal()));
  const biases = Array.from({ length: classes }, normal);
  return { inputs: toFloat32({ embeddings, centers, biases, bias: 1.5 }), labels };
}

/** Both sides must start from the same numbers. */
function toFloat32({ embeddings, centers, biases, bias }: Inputs): Inputs {
  const rows = (values: Rows) => values.map((row) => row.map(Math.fround));
  return {
    embeddings: rows(embeddings),
    centers: rows(centers),
    biases: biases.map(Math.fround),
    bias: Math.fround(bias),
  };
}

function tensorOf(inputs: Inputs, name: InputName): tf.Tensor {
  return tf.tensor(inputs[name] as number[][]);
}

/** Loss and gradients of a case in tfjs, each gradient as flat numbers. */
export function run({ inputs: names, loss }: LossCase, { inputs, labels }: Problem) {
  return tf.tidy(() => {
    const tensors = names.map((name) => tensorOf(inputs, name));
    const { value, grads } = tf.valueAndGrads((...variables: tf.Tensor[]) => loss(variables, labels))(tensors);
    const gradients = Object.fromEntries(names.map((name, k) => [name, Array.from(grads[k].dataSync())]));
    return { value: value.dataSync()[0], gradients: gradients as Partial<Record<InputName, number[]>> };
  });
}

/** A gradient, and the absolute error that its elements may have themselves. */
export interface Expected {
  readonly values: readonly number[];
  readonly noise: number;
}

/** Central differences of the float64 reference by every element of an input. */
export function differences(
  { reference, step: relativeStep }: LossCase,
  { inputs, labels }: Problem,
  name: InputName,
): Expected {
  const flat = [inputs[name]].flat(2) as number[];
  const width = name === 'embeddings' || name === 'centers' ? inputs[name][0].length : 1;
  const rebuilt = (values: number[]) => {
    if (name === 'bias') return values[0];
    if (width === 1) return values;
    return Array.from({ length: values.length / width }, (_, i) => values.slice(i * width, (i + 1) * width));
  };
  let noise = 0;
  const values = flat.map((value, e) => {
    const row = flat.slice(e - (e % width), e - (e % width) + width);
    const step = relativeStep * Math.max(norm(row), 1e-2);
    const at = (moved: number) =>
      reference({ ...inputs, [name]: rebuilt(flat.with(e, moved)) } as Inputs, labels, inputs);
    const [up, down] = [at(value + step), at(value - step)];
    noise = Math.max(noise, (8 * Number.EPSILON * Math.abs(up)) / step);
    return (up - down) / (2 * step);
  });
  return { values, noise };
}

const norm = (values: readonly number[]) => Math.sqrt(values.reduce((total, value) => total + value ** 2, 0));

/** Relative error of all of `actual` in norm, and of the worst row of `width`, beyond the noise of what is expected. */
export function errorsOf(actual: readonly number[], { values: expected, noise }: Expected, width: number) {
  expect(actual.length).toBe(expected.length);
  expect(actual.every(Number.isFinite)).toBe(true);
  const difference = actual.map((value, e) => Math.max(0, Math.abs(value - expected[e]) - noise));
  const starts = Array.from({ length: expected.length / width }, (_, i) => i * width);
  const rowNorms = starts.map((start) => norm(expected.slice(start, start + width)));
  const floor = 1e-6 * Math.max(...rowNorms, 1e-30);
  const rows = starts.map((start, i) => norm(difference.slice(start, start + width)) / Math.max(rowNorms[i], floor));
  return { total: norm(difference) / Math.max(norm(expected), 1e-30), worstRow: Math.max(...rows) };
}
