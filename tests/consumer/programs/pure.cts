/* eslint-disable @typescript-eslint/no-require-imports -- a CommonJS program */
import heads = require('@hyperarc/heads');
import tf = require('@tensorflow/tfjs-core');
require('@tensorflow/tfjs-backend-cpu');

async function main(): Promise<void> {
  await tf.setBackend('cpu');
  const head = new heads.MarginHead({ classes: 3, dim: 2, margin: heads.cosFace(), subCenters: 2 });
  const loss = head.loss(tf.tensor2d([1, 0, 0, 1], [2, 2]), [0, 2]);
  try {
    heads.arcFace({ margin: 9 });
  } catch (error) {
    if (!(error instanceof heads.HyperArcError)) throw error;
    console.log(error.code, head.centers.shape.join('x'), Number.isFinite(loss.dataSync()[0]));
  }
}

void main();
