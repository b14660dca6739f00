import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { badLine, forEachLine, isInside } from '../files/lines.js';

/** Where the parts of InsightFace's MegaFace test suite are. */
export interface MegaFaceFiles {
  /** One path a line, relative to `probeImages`; the folder is the person. */
  readonly probes: string;
  /** One path a line, relative to `distractorImages`. */
  readonly distractors: string;
  /** Aligned images. */
  readonly probeImages: string;
  readonly distractorImages: string;
  /** File names of FaceScrub that show another person, one a line. */
  readonly probeNoises: string;
  /** Paths of MegaFace that show people of FaceScrub; where a line has tabs, its second field. */
  readonly distractorNoises: string;
}

/** The files below `folder`, or below its `data`. Whether they are there shows when they are read. */
export function megaFaceFiles(folder: string): MegaFaceFiles {
  const nested = join(folder, 'data');
  const root =
    !existsSync(join(folder, 'facescrub_lst')) && existsSync(join(nested, 'facescrub_lst')) ? nested : folder;
  return {
    probes: join(root, 'facescrub_lst'),
    distractors: join(root, 'megaface_lst'),
    probeImages: join(root, 'facescrub_images'),
    distractorImages: join(root, 'megaface_images'),
    probeNoises: join(root, 'facescrub_noises.txt'),
    distractorNoises: join(root, 'megaface_noises.txt'),
  };
}

/** Devkit lists are a few ten MB; more is no list. */
const MAX_JSON_BYTES = 1 << 29;

/**
 * Reads a list of images: one path a line, or the devkit's JSON, `{"path": […]}` (`facescrub_features_list.json`, `megaface_features_list.json_1000000_1`).
 * @param depth the least number of parts of a path: 2 for FaceScrub (person/image), 3 for MegaFace
 * @throws HyperArcError E_FORMAT naming file and line (or element).
 */
export function readImageList(path: string, depth: number): string[] {
  const paths: string[] = [];
  const take = (text: string, line: number) => {
    if (!isInside(text) || text.split('/').length < depth) {
      throw badLine(path, line, `a relative path of ${depth} parts at least`, text);
    }
    paths.push(text);
  };
  const isJson = /\.json(_\d+_\d+)?$/.test(path);
  if (isJson) readJsonPaths(path).forEach((text, i) => take(text, i + 1));
  else forEachLine(path, (text, line) => take(text.trim(), line));
  if (paths.length === 0) throw new HyperArcError('E_FORMAT', `${path}: expected at least one image, received none`);
  return paths;
}

function readJsonPaths(path: string): string[] {
  let value: { path?: unknown };
  try {
    const bytes = readFileSync(path);
    if (bytes.length > MAX_JSON_BYTES) throw new Error(`${bytes.length} bytes`);
    value = JSON.parse(bytes.toString()) as { path?: unknown };
  } catch (cause) {
    throw new HyperArcError(
      'E_FORMAT',
      `${path}: expected a JSON list of the MegaFace devkit, received ${(cause as Error).message}`,
      { cause },
    );
  }
  const paths = value?.path;
  if (!Array.isArray(paths) || !paths.every((entry) => typeof entry === 'string')) {
    throw new HyperArcError(
      'E_FORMAT',
      `${path}: expected {"path": ["…", …]}, received other JSON; give a list of the MegaFace devkit`,
    );
  }
  return paths;
}

/** Reads a list of noises: lines that begin with # are comments; of fields separated by tabs the second counts. */
export function readNoises(path: string): Set<string> {
  const noises = new Set<string>();
  forEachLine(path, (text) => {
    if (text.startsWith('#')) return;
    const fields = text.trim().split('\t');
    noises.add(fields[1] ?? fields[0]!);
  });
  return noises;
}

/** The last `count` parts of a path: person/image of FaceScrub, folder/folder/image of MegaFace. */
export const lastParts = (path: string, count: number): string => path.split('/').slice(-count).join('/');
