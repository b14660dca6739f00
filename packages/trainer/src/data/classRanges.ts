/**
 * Classes of images that are sorted by class, from where each class ends.
 * @param ends [classes], ascending
 * @returns [images]
 */
export function classesOf(ends: Uint32Array): Int32Array {
  const classes = new Int32Array(ends.at(-1) ?? 0);
  let begin = 0;
  for (let rank = 0; rank < ends.length; rank++) classes.fill(rank, begin, (begin = ends[rank]!));
  return classes;
}

/**
 * Where each class of a sorted array ends.
 * @param classes [images], ascending
 */
export function endsOf(classes: Int32Array, count: number): Uint32Array {
  const ends = new Uint32Array(count);
  for (let i = 0; i < classes.length; i++) ends[classes[i]!] = i + 1;
  return ends;
}

/** Whether every class has an image, and the last ends with the last image. */
export const areClassEnds = (ends: Uint32Array, images: number): boolean =>
  ends.length > 0 && ends.at(-1) === images && ends.every((end, rank) => end > (rank === 0 ? 0 : ends[rank - 1]!));
