import * as tf from '@tensorflow/tfjs-core';
import { seedRows } from '@hyperarc/kernels-cuda/reference';
import { arcFace, curricularFace, MarginHead, type MarginSpec } from '../../dist/index.js';

const [BATCH, CLASSES, PIXELS, DIM] = [24, 6, 12, 5];
const STEPS = 40;

/** What a head made of one toy set on the backend in use; plain JSON. */
export interface Training {
  readonly margin: string;
  /** Loss before each step. */
  readonly losses: number[];
  /** dX of the first batch [B, D]. */
  readonly firstGradient: number[];
  /** dW of the first batch [C, K, D]. */
  readonly firstCenterGradient: number[];
  /** Share of the samples whose nearest centre is their own class's, after training. */
  readonly accuracy: number;
}

const normals = (seed: bigint, shape: [number, number]) => tf.tensor2d(seedRows(seed, 1, 0, ...shape), shape);

async function train(margin: MarginSpec): Promise<Training> {
  const labels = Int32Array.from({ length: BATCH }, (_, i) => i % CLASSES);
  const directions = tf.gather(normals(1n, [CLASSES, PIXELS]), tf.tensor1d(labels, 'int32'));
  const images = tf.add(directions, tf.mul(normals(2n, [BATCH, PIXELS]), 0.3)) as tf.Tensor2D;
  const backbone = tf.variable(tf.mul(normals(3n, [PIXELS, DIM]), 0.3)) as tf.Variable<tf.Rank.R2>;
  const head = new MarginHead({ classes: CLASSES, dim: DIM, subCenters: 2, margin, seed: 4, stddev: 1 });

  const start = head.state();
  const ofEmbeddings = tf.grad((x) => head.loss(x as tf.Tensor2D, labels))(tf.matMul(images, backbone));
  head.loadState(start);
  const ofCenters = tf.variableGrads(
    () => head.loss(tf.matMul(images, backbone), labels),
    [head.centers as tf.Variable],
  );
  head.loadState(start);

  const optimizer = tf.train.sgd(0.05);
  const losses: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    const variables = [backbone, head.centers] as tf.Variable[];
    const loss = optimizer.minimize(() => head.loss(tf.matMul(images, backbone), labels), true, variables);
    losses.push((await loss!.data())[0]!);
  }
  const nearest = await tf.argMax(head.logits(tf.matMul(images, backbone)), 1).data();
  return {
    margin: margin.name,
    losses,
    firstGradient: Array.from(await ofEmbeddings.data()),
    firstCenterGradient: Array.from(await Object.values(ofCenters.grads)[0]!.data()),
    accuracy: labels.filter((label, i) => nearest[i] === label).length / BATCH,
  };
}

/** Trains two heads, one of them with a margin that adapts, on the backend in use. */
export async function trainHeads(): Promise<Training[]> {
  return [await train(arcFace({ scale: 16, margin: 0.3 })), await train(curricularFace({ scale: 16, margin: 0.3 }))];
}
