import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-layers';
import { marginSoftmax } from '@hyperarc/kernels-cuda/ops';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, it } from 'vitest';
import { EngineCenterLoss, PartialFC } from '../dist/engine/index.js';
import {
  arcFace,
  CenterLoss,
  contrastiveLoss,
  MarginHead,
  marginSoftmaxLoss,
  softmaxLoss,
  sphereFace2Loss,
  subCenterReport,
  tripletLoss,
  unifaceLoss,
  type Labels,
} from '../dist/index.js';

beforeAll(() => tf.setBackend('cpu'));

// That this file passes the type checker is half of the test: datasets and most of tfjs's operations answer tensors of no stated rank.
it('labels, embeddings and biases may be tensors whose type states no rank', async () => {
  const x: tf.Tensor = tf.randomNormal([4, 3], 0, 1, 'float32', 5);
  const centers: tf.Tensor = tf.randomNormal([5, 3], 0, 1, 'float32', 6);
  const bias: tf.Tensor = tf.scalar(0.5);
  const numbers = [4, 0, 0, 2];
  const tensor: tf.Tensor = tf.tensor1d(numbers, 'int32');
  const sizes = { classes: 5, dim: 3 };
  const head = new MarginHead({ ...sizes, margin: arcFace() });
  using engineHead = new PartialFC({ ...sizes, margin: arcFace(), device: 'cpu' });
  const center = new CenterLoss(sizes);
  using engineCenter = new EngineCenterLoss({ ...sizes, device: 'cpu' });
  const losses = (labels: Labels) => [
    head.loss(x, labels),
    engineHead.loss(x, labels),
    center.loss(x, labels),
    engineCenter.loss(x, labels),
    marginSoftmaxLoss(x, centers, labels, arcFace()),
    softmaxLoss(x, centers, tf.zeros([5]), labels),
    sphereFace2Loss(x, centers, bias, labels),
    unifaceLoss(x, centers, bias, labels),
    tripletLoss(x, labels),
    contrastiveLoss(x, labels),
  ];
  const values = (labels: Labels) => tf.tidy(() => losses(labels).map((loss) => loss.dataSync()[0]));
  expect(values(tensor)).toEqual(values(numbers));

  const reports = [tensor, numbers].map((labels) => subCenterReport(head, [{ embeddings: x, labels }]));
  const [ofTensor, ofNumbers] = await Promise.all(reports);
  expect(ofTensor).toEqual(ofNumbers);

  const { loss, step } = marginSoftmax(engineHead.centers, x, tensor, { margin: arcFace() });
  step.dispose();
  expect(loss.dataSync()[0]).toBe(values(numbers)[1]);
  tf.dispose([x, centers, bias, tensor, loss]);
  head.dispose();
  center.dispose();
});
