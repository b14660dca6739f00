import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import { nearest } from './suggest.js';

const FOLDER = fileURLToPath(new URL('../../recipes', import.meta.url));
const EXTENSION = '.yaml';

/** A configuration that comes with the package. */
export interface Recipe {
  readonly name: string;
  readonly path: string;
  /** Its first line. */
  readonly summary: string;
}

/** Recipes by name. The first line of each file is a comment that says what it is. */
export function listRecipes(): Recipe[] {
  const files = readdirSync(FOLDER).filter((file) => file.endsWith(EXTENSION));
  return files.sort().map((file) => {
    const path = join(FOLDER, file);
    const firstLine = readFileSync(path, 'utf8').split('\n', 1)[0]!;
    return { name: basename(file, EXTENSION), path, summary: firstLine.replace(/^#\s*/, '') };
  });
}

/**
 * The file that `path` names, or else the recipe: `arcface-torch-ms1mv3`, with or without `.yaml`.
 * @param what the argument or key that named it, for the message.
 * @throws HyperArcError E_RANGE if there is neither, with the nearest recipe.
 */
export function resolveConfigPath(path: string, what = 'configuration'): string {
  if (existsSync(path)) return path;
  const recipes = listRecipes();
  const name = basename(path, EXTENSION);
  const recipe = recipes.find((one) => one.name === name);
  if (recipe !== undefined && (path === name || path === name + EXTENSION)) return recipe.path;
  const near = nearest(
    name,
    recipes.map((one) => one.name),
  );
  const fix =
    near === undefined ? 'hyperarc recipes lists those that come with it' : `did you mean the recipe ${near}?`;
  throw new HyperArcError('E_RANGE', `${what}: expected a file or a recipe, received ${path} (ENOENT); ${fix}`);
}
