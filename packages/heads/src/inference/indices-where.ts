/** Indices in ascending order where `values` pass the test: without an array of objects in between, for sets of millions. */
export function indicesWhere(values: ArrayLike<number>, test: (value: number) => boolean): Int32Array {
  let count = 0;
  for (let i = 0; i < values.length; i++) if (test(values[i]!)) count += 1;
  const indices = new Int32Array(count);
  for (let i = 0, at = 0; i < values.length; i++) if (test(values[i]!)) indices[at++] = i;
  return indices;
}
