import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { KeyedRandom } from './keyedRandom.js';
import type { ImageLocation } from './location.js';

/**
 * A face dataset on disk, whatever its format. Images are numbered from 0; what there is for each of many millions of them is in typed
 * arrays, or made when it is asked for.
 */
export interface ImageDataset {
  /** The path it was opened by. */
  readonly root: string;
  /** Names, by label. */
  readonly identities: readonly string[];
  /** [images], indices into `identities`. */
  readonly labels: Int32Array;
  /** Name of an image, no other's in the dataset; with `/`, `IDENTITY/IMAGE.jpg` in most formats. */
  readonly nameOf: (index: number) => string;
  readonly locate: (index: number) => ImageLocation;
  /** @throws HyperArcError E_RANGE for a name that no image has, where that is known without reading the image. */
  readonly locateName: (name: string) => ImageLocation;
}

/** Some of a dataset's identities with all of their images, numbered anew from 0 in the order they had. */
function subset(dataset: ImageDataset, keep: (label: number) => boolean): ImageDataset {
  const newLabels = new Int32Array(dataset.identities.length).fill(-1);
  const identities = dataset.identities.filter((_, label) => keep(label));
  for (let label = 0, next = 0; label < newLabels.length; label++) if (keep(label)) newLabels[label] = next++;
  let images = 0;
  for (const label of dataset.labels) if (newLabels[label] !== -1) images++;
  const rows = new Uint32Array(images);
  const labels = new Int32Array(images);
  for (let row = 0, next = 0; row < dataset.labels.length; row++) {
    const label = newLabels[dataset.labels[row]!]!;
    if (label === -1) continue;
    rows[next] = row;
    labels[next++] = label;
  }
  return {
    root: dataset.root,
    identities,
    labels,
    nameOf: (index) => dataset.nameOf(rows[index]!),
    locate: (index) => dataset.locate(rows[index]!),
    locateName: (name) => dataset.locateName(name),
  };
}

/**
 * Sets `heldOut` identities apart, chosen by `seed`; both parts are numbered anew from 0 in the order of their names.
 * @throws HyperArcError E_RANGE unless at least one identity stays on either side.
 */
export function splitIdentities(
  dataset: ImageDataset,
  { heldOut, seed }: { readonly heldOut: number; readonly seed: number },
): { train: ImageDataset; test: ImageDataset } {
  const count = dataset.identities.length;
  if (!Number.isInteger(heldOut) || heldOut < 1 || heldOut >= count) {
    throw new HyperArcError(
      'E_RANGE',
      `heldOut: expected a whole number from 1 to ${count - 1} (the dataset has ${count} identities), received ${heldOut}; hold out fewer or give more identities`,
    );
  }
  const order = new KeyedRandom(seed, count).shuffle(Uint32Array.from({ length: count }, (_, i) => i));
  const test = new Set(order.slice(0, heldOut));
  return { train: subset(dataset, (label) => !test.has(label)), test: subset(dataset, (label) => test.has(label)) };
}
