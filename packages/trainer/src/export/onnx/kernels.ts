/** Weights reordered from tfjs's layouts to ONNX's. */

/**
 * A convolution's kernel, from tfjs's [k, k, in, filters/groups] (element (…, c, q) weighs input channel c in output channel
 * ⌊c/(in/groups)⌋·(filters/groups) + q; one group is a plain convolution, groups = in a depthwise one) to ONNX's [filters, in/groups, k, k].
 */
export function convKernel(
  kernel: Float32Array,
  [height, width, channels, filtersPerGroup]: readonly [number, number, number, number],
  groups: number,
): Float32Array {
  const inputsPerGroup = channels / groups;
  const result = new Float32Array(kernel.length);
  const taps = height * width;
  for (let tap = 0; tap < taps; tap++) {
    for (let c = 0; c < channels; c++) {
      const firstFilter = Math.floor(c / inputsPerGroup) * filtersPerGroup;
      for (let q = 0; q < filtersPerGroup; q++) {
        const target = ((firstFilter + q) * inputsPerGroup + (c % inputsPerGroup)) * taps + tap;
        result[target] = kernel[(tap * channels + c) * filtersPerGroup + q]!;
      }
    }
  }
  return result;
}

/** A dense kernel [H·W·C, units] with its rows reordered from (height, width, channel) to (channel, height, width). */
export function channelsFirstRows(
  kernel: Float32Array,
  [height, width, channels]: readonly [number, number, number],
  units: number,
): Float32Array {
  const result = new Float32Array(kernel.length);
  const pixels = height * width;
  for (let pixel = 0; pixel < pixels; pixel++) {
    for (let c = 0; c < channels; c++) {
      const source = (pixel * channels + c) * units;
      result.set(kernel.subarray(source, source + units), (c * pixels + pixel) * units);
    }
  }
  return result;
}
