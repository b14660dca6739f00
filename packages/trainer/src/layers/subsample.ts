import * as tf from '@tensorflow/tfjs-core';

/**
 * Every stride-th row and column of [B, H, W, C], from the first on: what a strided pooling or convolution with a kernel of one sees.
 * One slice over [B·H/stride, stride, W/stride, stride·C], whose gradient is one pad.
 */
export function subsample(x: tf.Tensor4D, stride: number): tf.Tensor4D {
  if (stride === 1) return x;
  const [batch, height, width, channels] = x.shape;
  const [rows, columns] = [Math.ceil(height / stride), Math.ceil(width / stride)];
  const [below, right] = [rows * stride - height, columns * stride - width];
  const whole =
    below === 0 && right === 0
      ? x
      : tf.pad4d(x, [
          [0, 0],
          [0, below],
          [0, right],
          [0, 0],
        ]);
  const blocks = tf.reshape(whole, [batch * rows, stride, columns, stride * channels]);
  const firsts = tf.slice4d(blocks as tf.Tensor4D, [0, 0, 0, 0], [batch * rows, 1, columns, channels]);
  return tf.reshape(firsts, [batch, rows, columns, channels]);
}
