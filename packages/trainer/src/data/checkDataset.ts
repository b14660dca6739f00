import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { extname, join } from 'node:path';
import sharp from 'sharp';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { decodeImage, MAX_INPUT_PIXELS, readImageFile, sniffFormat } from './decodeImage.js';
import { FINDINGS, type DatasetFinding, type DatasetReport, type FindingKind, type HistogramBin } from './findings.js';
import { byName, identityFolders, isImageName } from './imageFolder.js';

/** Files read and decoded at once; libvips does the work on its own threads. */
const CONCURRENCY = 4;

/**
 * Reads and decodes every image of an image folder.
 * @throws HyperArcError E_FORMAT when `root` cannot be read or holds no identity folder.
 */
export async function checkDataset(root: string, onProgress?: (done: number, total: number) => void): Promise<DatasetReport> {
  const folders = identityFolders(root);
  if (folders.length === 0) {
    throw new HyperArcError('E_FORMAT', `dataset: expected one folder an identity in ${root}, received none; give the folder that holds them`);
  }
  const findings: DatasetFinding[] = [];
  const add = (kind: FindingKind, paths: string[], detail = '') => findings.push({ severity: FINDINGS[kind].severity, kind, paths, detail });
  const files: string[] = [];
  const perIdentity: number[] = [];
  for (const folder of folders) {
    let names: { name: string; isImage: boolean }[];
    try {
      names = readdirSync(join(root, folder), { withFileTypes: true }).map((entry) => ({
        name: entry.name,
        isImage: !entry.isDirectory() && isImageName(entry.name),
      }));
    } catch (cause) {
      add('damaged image', [folder], `folder cannot be read: ${(cause as Error).message}`);
      continue;
    }
    const images = names.filter(({ isImage }) => isImage).map(({ name }) => `${folder}/${name}`);
    perIdentity.push(images.length);
    files.push(...images.sort(byName));
    if (images.length === 0) add('empty identity', [folder]);
    for (const { name, isImage } of names) if (!isImage) add('not an image', [`${folder}/${name}`]);
  }
  for (const entry of readdirSync(root, { withFileTypes: true })) {
    if (entry.isFile()) add('not an image', [entry.name], isImageName(entry.name) ? 'an image outside every identity folder' : '');
  }

  const hashes = new Map<string, string[]>();
  const resolutions = new Map<string, number>();
  let bytes = 0;
  let done = 0;
  const inspect = async (path: string) => {
    try {
      const contents = await readImageFile(join(root, path));
      bytes += contents.length;
      const hash = createHash('sha256').update(contents).digest('hex');
      hashes.set(hash, [...(hashes.get(hash) ?? []), path]);
      await decodeImage(contents, 32, path);
      const { width, height } = await sharp(contents, { limitInputPixels: MAX_INPUT_PIXELS }).metadata();
      resolutions.set(`${width}×${height}`, (resolutions.get(`${width}×${height}`) ?? 0) + 1);
      const named = extname(path).toLowerCase() === '.png' ? 'png' : 'jpeg';
      if (sniffFormat(contents) !== named) add('wrong extension', [path], `contents are ${sniffFormat(contents)}`);
    } catch (error) {
      if (!(error instanceof HyperArcError)) throw error;
      add('damaged image', [path], error.message);
    }
    onProgress?.(++done, files.length);
  };
  const waiting = files[Symbol.iterator]();
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      for (const path of waiting) await inspect(path);
    }),
  );
  for (const alike of hashes.values()) {
    if (alike.length < 2) continue;
    const owners = new Set(alike.map((path) => path.split('/')[0]));
    add(owners.size > 1 ? 'duplicate across identities' : 'duplicate within an identity', alike.sort(byName));
  }
  const order = Object.keys(FINDINGS);
  findings.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind) || byName(a.paths[0]!, b.paths[0]!));
  return {
    root,
    identities: folders.length,
    images: files.length,
    bytes,
    imagesPerIdentity: countHistogram(perIdentity),
    resolutions: [...resolutions].map(([label, count]) => ({ label, count })).sort((a, b) => b.count - a.count || byName(a.label, b.label)),
    findings,
    ok: findings.every(({ severity }) => severity !== 'error'),
  };
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
