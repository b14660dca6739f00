import type { ImageDataset } from '../data/index.js';
import { countTrained } from '../train/trainedIdentities.js';

/**
 * The people that a model is tried on, in words: `faces, 10 held-out identities`. Those that it was trained on are named: what it
 * finds of them is not what it finds of people it never saw.
 * @param heldOut set apart by a seed; 0: all.
 * @param trained path of the run or checkpoint that is tried; absent for a model folder.
 */
export function describePeople(dataset: ImageDataset, heldOut: number, trained: string | undefined): string {
  const { root, identities } = dataset;
  const seen = trained === undefined ? 0 : countTrained(trained, { names: identities, root });
  const whose = heldOut === 0 ? `all ${identities.length}` : `${heldOut} held-out`;
  return `${root}, ${whose} identities${seen === 0 ? '' : `, ${seen} of them trained on`}`;
}
