/** Float64 references of the layers, written as the formulas read. Activations are row-major [rows, channels]. */

export interface BatchNormResult {
  output: Float64Array;
  mean: Float64Array;
  unbiasedVariance: Float64Array;
  dx: Float64Array;
  dGamma: Float64Array;
  dBeta: Float64Array;
}

export function batchNormTraining(
  x: ArrayLike<number>,
  gamma: ArrayLike<number>,
  beta: ArrayLike<number>,
  dy: ArrayLike<number>,
  epsilon: number,
): BatchNormResult {
  const channels = gamma.length;
  const rows = x.length / channels;
  const result = {
    output: new Float64Array(x.length),
    mean: new Float64Array(channels),
    unbiasedVariance: new Float64Array(channels),
    dx: new Float64Array(x.length),
    dGamma: new Float64Array(channels),
    dBeta: new Float64Array(channels),
  };
  for (let c = 0; c < channels; c++) {
    const indices = Array.from({ length: rows }, (_, r) => r * channels + c);
    const mean = indices.reduce((sum, i) => sum + x[i]!, 0) / rows;
    const squares = indices.reduce((sum, i) => sum + (x[i]! - mean) ** 2, 0);
    const rstd = 1 / Math.sqrt(squares / rows + epsilon);
    const xHat = (i: number) => (x[i]! - mean) * rstd;
    const dBeta = indices.reduce((sum, i) => sum + dy[i]!, 0);
    const dGamma = indices.reduce((sum, i) => sum + dy[i]! * xHat(i), 0);
    for (const i of indices) {
      result.output[i] = gamma[c]! * xHat(i) + beta[c]!;
      result.dx[i] = gamma[c]! * rstd * (dy[i]! - dBeta / rows - (xHat(i) * dGamma) / rows);
    }
    result.mean[c] = mean;
    result.unbiasedVariance[c] = squares / Math.max(rows - 1, 1);
    result.dGamma[c] = dGamma;
    result.dBeta[c] = dBeta;
  }
  return result;
}

export interface ConvShape {
  batch: number;
  size: number;
  channels: number;
  filters: number;
  kernelSize: number;
  stride: number;
  padding: number;
  groups: number;
}

/** Convolution and its gradients by the definition: PyTorch's grouped, symmetrically padded one, on NHWC data. */
export function groupedConv(s: ConvShape, x: ArrayLike<number>, kernel: ArrayLike<number>, dy: ArrayLike<number>) {
  const outSize = Math.floor((s.size + 2 * s.padding - s.kernelSize) / s.stride) + 1;
  const inGroup = s.channels / s.groups;
  const outGroup = s.filters / s.groups;
  const output = new Float64Array(s.batch * outSize * outSize * s.filters);
  const dx = new Float64Array(x.length);
  const dKernel = new Float64Array(kernel.length);
  const inside = (v: number) => v >= 0 && v < s.size;
  for (let b = 0; b < s.batch; b++)
    for (let oy = 0; oy < outSize; oy++)
      for (let ox = 0; ox < outSize; ox++)
        for (let ky = 0; ky < s.kernelSize; ky++)
          for (let kx = 0; kx < s.kernelSize; kx++) {
            const iy = oy * s.stride + ky - s.padding;
            const ix = ox * s.stride + kx - s.padding;
            if (!inside(iy) || !inside(ix)) continue;
            for (let c = 0; c < s.channels; c++)
              for (let q = 0; q < outGroup; q++) {
                const f = Math.floor(c / inGroup) * outGroup + q;
                const i = ((b * s.size + iy) * s.size + ix) * s.channels + c;
                const o = ((b * outSize + oy) * outSize + ox) * s.filters + f;
                const k = ((ky * s.kernelSize + kx) * s.channels + c) * outGroup + q;
                output[o]! += x[i]! * kernel[k]!;
                dx[i]! += dy[o]! * kernel[k]!;
                dKernel[k]! += dy[o]! * x[i]!;
              }
          }
  return { output, dx, dKernel };
}
