/** Which samples make the batches of each epoch. */
export interface Sampler {
  /** What it is and its numbers, for checkpoints: a resumed loader must have the same. Absent for plain shuffling. */
  readonly id?: string;
  /** Samples of an epoch. A number of whole batches, unless the loader may end an epoch with a smaller one. */
  readonly samplesPerEpoch: number;
  /**
   * The samples of an epoch in order, the first batch's first: [samplesPerEpoch], into the dataset's samples. A function of
   * the epoch alone, so that a place in the data is an epoch and a position.
   */
  epoch(epoch: number): Uint32Array;
}

/** Streams of random numbers, one a purpose. */
export const STREAM = { order: 0x6f72646572, identities: 0x6964656e74, images: 0x696d616765, groups: 0x67726f757073 } as const;

/** Samples by class. */
export interface ClassLists {
  /** [classes + 1]: samples of class c are `samples[offsets[c]]` up to `offsets[c + 1]`. */
  readonly offsets: Uint32Array;
  /** [samples] */
  readonly samples: Uint32Array;
}

/** @param classOf [samples], in [0, classes). */
export function samplesByClass(classOf: ArrayLike<number>, classes: number): ClassLists {
  const offsets = new Uint32Array(classes + 1);
  for (let i = 0; i < classOf.length; i++) offsets[classOf[i]! + 1]! += 1;
  for (let c = 0; c < classes; c++) offsets[c + 1]! += offsets[c]!;
  const next = offsets.slice();
  const samples = new Uint32Array(classOf.length);
  for (let i = 0; i < classOf.length; i++) samples[next[classOf[i]!]++] = i;
  return { offsets, samples };
}
