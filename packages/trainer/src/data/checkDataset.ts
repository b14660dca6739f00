import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { findDuplicates, type DuplicateGroup } from './check/duplicates.js';
import { datasetSource, folderSource, recordSource } from './check/imageSource.js';
import { inspectImages, STATE, type InspectedImages } from './check/inspectImages.js';
import { MAX_SEARCH_DISTANCE } from './check/nearPairs.js';
import { FINDINGS, type DatasetFinding, type DatasetReport, type FindingKind, type HistogramBin } from './findings.js';
import { byName, identityFolders } from './imageFolder.js';
import { isImageName } from './imageName.js';
import { findDataset, openDataset } from './openDataset.js';
import { leftOutOfDataset, leftOutOfIdentity, type LeftOut } from './leftOut.js';
import { LARGEST_EXACT_LABEL } from './recordio/faceRecords.js';
import { RecordFile } from './recordio/recordFile.js';

/** Bits of 256 by which near-duplicates may differ where nobody says: docs/decisions/0025. */
export const DEFAULT_NEAR_DISTANCE = 16;

export interface CheckOptions {
  /** Evaluation sets, image folders or `.rec` files: which of their images and identities are in the dataset too. */
  readonly against?: readonly string[];
  /** Bits of 256 by which the perceptual hashes of near-duplicates may differ, 0 to 32. Default 16. */
  readonly nearDistance?: number;
  /** @param done Images of `dataset` inspected so far. */
  readonly onProgress?: (done: number, dataset: string) => void;
  readonly onWarning?: (message: string) => void;
}

/**
 * Reads and decodes every image of a dataset (what openDataset takes, or Parquet) once, and reports what is wrong with it.
 * @throws HyperArcError E_FORMAT when `root` cannot be read or holds no image; E_RANGE for a distance out of range.
 */
export async function checkDataset(root: string, options: CheckOptions = {}): Promise<DatasetReport> {
  const { against = [], nearDistance = DEFAULT_NEAR_DISTANCE } = options;
  if (!Number.isInteger(nearDistance) || nearDistance < 0 || nearDistance > MAX_SEARCH_DISTANCE) {
    throw new HyperArcError(
      'E_RANGE',
      `nearDistance: expected a whole number of bits from 0 to ${MAX_SEARCH_DISTANCE}, received ${nearDistance}; change --near-distance`,
    );
  }
  const findings: DatasetFinding[] = [];
  const add = (kind: FindingKind, paths: string[], detail = '') =>
    findings.push({ severity: FINDINGS[kind].severity, kind, paths, detail });
  // Folders are listed and files opened before anything is read, so that a mistyped path is known at once.
  const sets: CheckedDataset[] = [];
  for (const path of [root, ...against]) sets.push(await openForCheck(path, options));
  const images = await sets[0]!.inspect(add);
  const others: InspectedImages[] = [];
  for (const set of sets.slice(1)) others.push(await set.inspect(() => {}));

  const pathOf = (image: number) => images.names[image]!;
  for (const { image, reason } of images.damaged) add('damaged image', [pathOf(image)], reason);
  for (const { image, format } of images.wrongExtensions)
    add('wrong extension', [pathOf(image)], `contents are ${format}`);
  images.states.forEach((state, image) => {
    if (state === STATE.blank) add('blank image', [pathOf(image)]);
  });
  const { exact, near, nearPairs, overlaps } = findDuplicates(images, others, nearDistance);
  const addGroups = (groups: readonly DuplicateGroup[], kind: 'duplicate' | 'near-duplicate') => {
    for (const group of groups)
      add(
        `${kind} ${group.isAcross ? 'across identities' : 'within an identity'}`,
        group.images.map(pathOf).sort(byName),
      );
  };
  addGroups(exact, 'duplicate');
  addGroups(near, 'near-duplicate');
  const reports = others.map((other, i) => {
    const path = against[i]!;
    for (const { image, trainingImage, distance } of overlaps[i]!) {
      const detail = distance === 'identical' ? 'the same bytes' : `${distance} of 256 bits differ`;
      add('image of an evaluation set', [pathOf(trainingImage), `${path}/${other.names[image]}`], detail);
    }
    const areNames = sets[0]!.hasNames && sets[i + 1]!.hasNames;
    const known = new Set(areNames ? sets[0]!.identities(images) : []);
    const common = sets[i + 1]!.identities(other).filter((name) => known.has(name));
    for (const name of common) add('identity of an evaluation set', [name, `${path}/${name}`]);
    return {
      root: path,
      identities: sets[i + 1]!.identities(other).length,
      images: other.names.length,
      damaged: other.damaged.length,
      overlappingImages: overlaps[i]!.length,
      commonIdentities: areNames ? common.length : null,
    };
  });

  const order = Object.keys(FINDINGS);
  findings.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind) || byName(a.paths[0]!, b.paths[0]!));
  const perIdentity = countsOf(sets[0]!.identities(images), images);
  const ascending = perIdentity.toSorted((a, b) => a - b);
  return {
    root,
    identities: perIdentity.length,
    images: images.names.length,
    bytes: images.bytes,
    labels: sets[0]!.labels(images),
    imagesOfAnIdentity: { least: ascending[0]!, median: ascending[ascending.length >> 1]!, most: ascending.at(-1)! },
    imagesPerIdentity: countHistogram(perIdentity),
    resolutions: [...images.resolutions]
      .map(([label, count]) => ({ label, count }))
      .sort((a, b) => b.count - a.count || byName(a.label, b.label)),
    nearDuplicates: { distance: nearDistance, pairs: nearPairs },
    against: reports,
    findings,
    ok: findings.every(({ severity }) => severity !== 'error'),
  };
}

type Add = (kind: FindingKind, paths: string[], detail?: string) => void;

/** A dataset that is there, before its images are read. */
interface CheckedDataset {
  /** Identities are names of folders, not the numbers of labels. */
  readonly hasNames: boolean;
  /** Reads all, adding what is known from elsewhere than the images. */
  inspect(add: Add): Promise<InspectedImages>;
  /** Sorted, those without images too. */
  identities(images: InspectedImages): readonly string[];
  labels(images: InspectedImages): DatasetReport['labels'];
}

async function openForCheck(root: string, options: CheckOptions): Promise<CheckedDataset> {
  const onProgress = (done: number) => options.onProgress?.(done, root);
  const { kind, path } = findDataset(root);
  if (kind === 'records') return openRecords(path, options, onProgress);
  if (kind === 'folder') return openFolder(path, onProgress);
  const { onWarning: log = () => {} } = options;
  const dataset = await openDataset(path, { log, inOrder: true });
  return {
    hasNames: true,
    inspect: () => inspectImages(datasetSource(dataset), onProgress),
    identities: () => dataset.identities,
    labels: () => ({ lowest: 0, highest: dataset.identities.length - 1, missing: 0 }),
  };
}

function openRecords(
  path: string,
  { onWarning = () => {} }: CheckOptions,
  onProgress: (done: number) => void,
): CheckedDataset {
  new RecordFile(path)[Symbol.dispose](); // throws where it cannot be read
  const sorted = ({ identities }: InspectedImages) => identities.toSorted((a, b) => Number(a) - Number(b));
  const labels = (images: InspectedImages) => {
    const names = sorted(images);
    const [lowest, highest] = [Number(names[0]), Number(names.at(-1))];
    return { lowest, highest, missing: highest + 1 - names.length };
  };
  return {
    hasNames: false,
    async inspect(add) {
      const images = await inspectImages(
        recordSource(path, onWarning, (reason) => add('damaged record', [path], reason)),
        onProgress,
      );
      if (images.names.length === 0) throw new HyperArcError('E_FORMAT', `${path}: expected images, received none`);
      const { highest, missing } = labels(images);
      if (missing > 0) add('labels without images', [path], `${missing} of the labels 0 to ${highest}`);
      if (highest > LARGEST_EXACT_LABEL) add('label above 2^24', [path], `the highest is ${highest}`);
      return images;
    },
    identities: sorted,
    labels,
  };
}

function openFolder(root: string, onProgress: (done: number) => void): CheckedDataset {
  const folders = identityFolders(root);
  if (folders.length === 0) {
    throw new HyperArcError(
      'E_FORMAT',
      `dataset: expected one folder an identity in ${root}, received none; give the folder that holds them`,
    );
  }
  const findings: Parameters<Add>[] = [];
  const files: string[] = [];
  for (const folder of folders) {
    let names: { name: string; isImage: boolean; leftOut: LeftOut | undefined }[];
    try {
      names = readdirSync(join(root, folder), { withFileTypes: true }).map((entry) => ({
        name: entry.name,
        isImage: !entry.isDirectory() && isImageName(entry.name),
        leftOut: leftOutOfIdentity(join(root, folder), entry),
      }));
    } catch (cause) {
      findings.push(['damaged image', [folder], `folder cannot be read: ${(cause as Error).message}`]);
      continue;
    }
    const images = names.filter(({ isImage }) => isImage).map(({ name }) => `${folder}/${name}`);
    for (const image of images.sort(byName)) files.push(image);
    if (images.length === 0) findings.push(['empty identity', [folder]]);
    for (const { name, isImage, leftOut } of names) {
      if (leftOut) findings.push(['picture left out', [`${folder}/${name}`], leftOut]);
      else if (!isImage) findings.push(['not an image', [`${folder}/${name}`]]);
    }
  }
  for (const entry of readdirSync(root, { withFileTypes: true })) {
    const leftOut = leftOutOfDataset(entry);
    if (leftOut) findings.push(['picture left out', [entry.name], leftOut]);
    else if (entry.isFile()) findings.push(['not an image', [entry.name]]);
  }
  return {
    hasNames: true,
    inspect: (add) => {
      for (const finding of findings) add(...finding);
      return inspectImages(folderSource(root, files), onProgress);
    },
    identities: () => folders,
    // Folders without images get no label.
    labels: ({ identities }) => ({ lowest: 0, highest: identities.length - 1, missing: 0 }),
  };
}

/** Images of each identity, damaged ones too; 0 for those without. */
function countsOf(identities: readonly string[], images: InspectedImages): number[] {
  const counts = new Uint32Array(images.identities.length);
  for (const owner of images.owners) counts[owner]!++;
  const byIdentity = new Map(images.identities.map((name, i) => [name, counts[i]!]));
  return identities.map((name) => byIdentity.get(name) ?? 0);
}

/** Identities by image count, in bins that double: 0, 1, 2–3, 4–7, … */
function countHistogram(counts: readonly number[]): HistogramBin[] {
  const bins = new Map<number, number>();
  for (const count of counts) {
    const low = count === 0 ? 0 : 2 ** Math.floor(Math.log2(count));
    bins.set(low, (bins.get(low) ?? 0) + 1);
  }
  return [...bins]
    .sort(([a], [b]) => a - b)
    .map(([low, count]) => ({ label: low < 2 ? String(low) : `${low}–${2 * low - 1}`, count }));
}
