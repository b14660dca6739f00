import { readdirSync, statSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { ArrayFile, Column } from '../arrayFile.js';
import { areClassEnds, classesOf, endsOf } from '../classRanges.js';
import type { ImageDataset } from '../dataset.js';
import { byName } from '../imageFolder.js';
import { isImageName } from '../imageName.js';
import { cachedIndex, indexProgress, stampOf, type OpenOptions } from '../indexCache.js';
import { sortedIdentities } from '../labelNames.js';
import type { ImageLocation } from '../location.js';
import { nameLookup } from '../nameLookup.js';
import { PartFile } from '../partFile.js';
import { areStrings, packStrings, stringAt, unpackStrings, type StringTable } from '../strings.js';
import { tarMembers, type TarMember } from './tar.js';

/** What there is to know of the images of a set of shards, by image, sorted by label, then name. */
interface ShardTable<T = Column, S = StringTable> {
  /** Index into the shards. */
  readonly shards: T;
  readonly offsets: T;
  readonly sizes: T;
  readonly names: S;
  /** [classes] */
  readonly identities: PackedStrings;
  /** [classes], where the images of each end. */
  readonly classEnds: Uint32Array;
}
type PackedStrings = ReturnType<typeof packStrings>;
type MadeTable = ShardTable<Float64Array | Uint32Array, PackedStrings>;

/** Members between two looks at the signal. */
const BREATH = 1 << 12;
/** A label is a number or a name. */
const MAX_LABEL_BYTES = 256;

/** The tar files of a path: itself, or those in a folder, by name. */
export function shardsOf(root: string): string[] {
  if (!statSync(root).isDirectory()) return [root];
  return readdirSync(root)
    .filter((name) => name.endsWith('.tar'))
    .sort(byName)
    .map((name) => join(root, name));
}

/** Where {@link openShards} keeps what it found out. */
export const shardIndexPathOf = (root: string): string =>
  statSync(root).isDirectory() ? join(root, '.hyperarc-index') : `${root}.hyperarc-index`;

/**
 * Opens tar shards in WebDataset's layout: members with one name up to the first dot are a sample, `NAME.jpg` (jpeg, png, webp) with `NAME.cls`, its label
 * as text. Without `.cls` the folder of an image within the shard is its identity; so it is where folders and labels say the same, and gives it its
 * name. The headers of all members are read once, and what they say is kept beside the shards.
 * @throws HyperArcError E_FORMAT naming shard and member.
 */
export async function openShards(root: string, options: OpenOptions = {}): Promise<ImageDataset> {
  const shards = shardsOf(root);
  const table = await cachedIndex<ShardTable, MadeTable>(
    {
      root,
      indexPath: shardIndexPathOf(root),
      stamp: ['shards-3', shards.map((path) => basename(path)), stampOf(shards)],
      parse: parseTable,
      make: () => makeTable(root, shards, options),
      arraysOf: ({ names, identities, ...rest }) => ({
        ...rest,
        nameBytes: names.bytes,
        nameEnds: names.ends,
        identityBytes: identities.bytes,
        identityEnds: identities.ends,
      }),
      imagesOf: ({ shards }) => shards.length,
    },
    options,
  );
  return datasetOf(root, shards, table);
}

function datasetOf(root: string, paths: readonly string[], table: ShardTable): ImageDataset {
  const { shards, offsets, sizes } = table;
  const nameOf = (index: number): string => stringAt(table.names, index);
  const locate = (index: number): ImageLocation => {
    const [path, offset, bytes] = [paths[shards.at(index)!], offsets.at(index)!, sizes.at(index)!];
    const isPart = [offset, bytes].every((value) => Number.isSafeInteger(value) && value >= 0);
    if (path !== undefined && isPart) return { kind: 'part', path, name: nameOf(index), offset, bytes };
    const fix = 'remove it, and it is made again';
    throw new HyperArcError('E_FORMAT', `${shardIndexPathOf(root)}: expected an index of HyperArc, received damage; ${fix}`);
  };
  // Names are not in order where labels are not folders.
  const indexOf = nameLookup(shards.length, nameOf);
  return {
    root,
    identities: unpackStrings(table.identities),
    labels: classesOf(table.classEnds),
    nameOf,
    locate,
    locateName: (name) => {
      const index = indexOf(name);
      if (index !== undefined) return locate(index);
      throw new HyperArcError('E_RANGE', `${root}: expected the name of an image in its shards, received ${name}`);
    },
  };
}

function parseTable(file: ArrayFile): ShardTable {
  const table = {
    shards: file.column('shards', 'u32'),
    offsets: file.column('offsets', 'f64'),
    sizes: file.column('sizes', 'f64'),
    names: { bytes: file.bytes('nameBytes'), ends: file.column('nameEnds', 'f64') },
    identities: { bytes: file.load('identityBytes', 'u8'), ends: file.load('identityEnds', 'f64') },
    classEnds: file.load('classEnds', 'u32'),
  };
  const { shards, offsets, sizes, names, identities, classEnds } = table;
  const isWhole =
    [offsets, sizes, names.ends].every(({ length }) => length === shards.length) &&
    identities.ends.length === classEnds.length &&
    areStrings(identities.bytes, identities.ends) &&
    areClassEnds(classEnds, shards.length);
  return isWhole ? table : file.refuse('damaged arrays');
}

interface ShardImage extends TarMember {
  readonly shard: number;
  /** Of the `.cls` beside it. */
  readonly label: string | undefined;
}

async function makeTable(
  root: string,
  paths: readonly string[],
  { log = () => {}, signal }: OpenOptions,
): Promise<MadeTable> {
  if (paths.length === 0) throw new HyperArcError('E_FORMAT', `${root}: expected tar files, received none`);
  const progress = indexProgress(root, log);
  const images: ShardImage[] = [];
  for (const [shard, path] of paths.entries()) {
    for (const sample of samplesOf(path)) {
      images.push({ ...sample, shard });
      if (images.length % BREATH !== 0) continue;
      await setImmediate();
      signal?.throwIfAborted();
      progress(images.length);
    }
  }
  if (images.length === 0) throw new HyperArcError('E_FORMAT', `${root}: expected images in its shards, received none`);
  const identityOf = identitiesBy(root, images);
  const names = isDistinct(images) ? images.map(({ name }) => name) : images.map((image) => `${basename(paths[image.shard]!)}/${image.name}`);
  const identities = identityOf.isFolder
    ? [...new Set(images.map(identityOf.of))].sort(byName)
    : sortedIdentities(images.map(identityOf.of));
  const ranks = new Map(identities.map((name, rank) => [name, rank]));
  const classes = images.map((image) => ranks.get(identityOf.of(image))!);
  const order = Uint32Array.from(images, (_, i) => i).sort(
    (a, b) => classes[a]! - classes[b]! || byName(names[a]!, names[b]!),
  );
  return {
    shards: Uint32Array.from(order, (i) => images[i]!.shard),
    offsets: Float64Array.from(order, (i) => images[i]!.offset),
    sizes: Float64Array.from(order, (i) => images[i]!.bytes),
    names: packStrings(Array.from(order, (i) => names[i]!)),
    identities: packStrings(identities),
    classEnds: endsOf(Int32Array.from(order, (i) => classes[i]!), identities.length),
  };
}

/** A Set ends at 2²⁴ members; more images than that are told apart by their shards. */
const isDistinct = (images: readonly ShardImage[]): boolean =>
  images.length < 2 ** 24 && new Set(images.map(({ name }) => name)).size === images.length;

const folderOf = (name: string): string => name.slice(0, Math.max(0, name.lastIndexOf('/')));

/** What names an image's identity: its label, or the last folder of its name where that says the same or there is no label. */
function identitiesBy(
  root: string,
  images: readonly ShardImage[],
): { isFolder: boolean; of: (image: ShardImage) => string } {
  const byFolder = { isFolder: true, of: ({ name }: ShardImage) => basename(folderOf(name)) };
  const unlabelled = images.find(({ label }) => label === undefined);
  const labelled = images.find(({ label }) => label !== undefined);
  if (unlabelled !== undefined && labelled !== undefined) {
    const received = `one for ${labelled.name} and none for ${unlabelled.name}`;
    throw new HyperArcError('E_FORMAT', `${root}: expected a .cls member for each image or none, received ${received}`);
  }
  if (unlabelled === undefined) return isSamePartition(images, byFolder.of) ? byFolder : { isFolder: false, of: ({ label }) => label! };
  const outside = images.find(({ name }) => folderOf(name) === '');
  if (outside !== undefined) {
    const received = `neither for ${outside.name}`;
    throw new HyperArcError('E_FORMAT', `${root}: expected a .cls member or a folder that says whose image it is, ${received}`);
  }
  return byFolder;
}

/** Whether two images have one folder exactly when they have one label. */
function isSamePartition(images: readonly ShardImage[], folder: (image: ShardImage) => string): boolean {
  const labels = new Map<string, string>();
  const folders = new Map<string, string>();
  return images.every((image) => {
    const [name, label] = [folder(image), image.label!];
    if (name === '') return false;
    const [knownLabel, knownFolder] = [labels.get(name) ?? label, folders.get(label) ?? name];
    labels.set(name, knownLabel);
    folders.set(label, knownFolder);
    return knownLabel === label && knownFolder === name;
  });
}

/**
 * The images of a shard, each with the label beside it. Images that share a name up to the first dot are a sample only where there is a label:
 * a folder of images that was packed as it is may have dots in its names.
 */
function* samplesOf(path: string): Generator<TarMember & { label: string | undefined }> {
  const refuse = (name: string, expected: string, received: string): never => {
    throw new HyperArcError('E_FORMAT', `${path}: ${name}: expected ${expected}, received ${received}`);
  };
  let key: string | undefined;
  let images: TarMember[] = [];
  let label: string | undefined;
  const finish = (): (TarMember & { label: string | undefined })[] => {
    if (label !== undefined && images.length > 1) {
      refuse(images[1]!.name, 'one image a sample (a name up to its first dot)', `another beside ${images[0]!.name}`);
    }
    return images.map((image) => ({ ...image, label }));
  };
  for (const member of tarMembers(path)) {
    const parts = member.name.split('/').filter((part) => part !== '.');
    const name = parts.join('/');
    if (name.startsWith('/') || parts.includes('..')) {
      refuse(member.name, 'a name below the shard', 'one that leads out of it');
    }
    const file = basename(name);
    const memberKey = `${folderOf(name)}/${file.slice(0, 1)}${file.slice(1).replace(/\..*/, '')}`;
    if (memberKey !== key) {
      yield* finish();
      [key, images, label] = [memberKey, [], undefined];
    }
    if (isImageName(file)) {
      images.push({ ...member, name });
    } else if (extname(file).toLowerCase() === '.cls') {
      label = readLabel(path, member);
      if (label === undefined) refuse(name, `a label of at most ${MAX_LABEL_BYTES} bytes`, 'other contents');
    }
  }
  yield* finish();
}

function readLabel(path: string, { offset, bytes }: TarMember): string | undefined {
  if (bytes > MAX_LABEL_BYTES) return undefined;
  using file = new PartFile(path, 'tar file');
  const label = file.read(offset, bytes).toString('utf8').trim();
  return /^[^/\\\p{Cc}]+$/u.test(label) ? label : undefined;
}
