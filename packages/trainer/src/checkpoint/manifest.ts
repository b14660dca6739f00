import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

import { HyperArcError } from '@hyperarc/kernels-cuda';
import * as z from 'zod';

export const MANIFEST_NAME = 'manifest.json';
const FORMAT = 'hyperarc-checkpoint';
const VERSION = 1;

const manifestSchema = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  step: z.number().int().min(0),
  /** Higher is better; decides which checkpoint is kept as the best. */
  score: z.number().nullable(),
  files: z.array(
    z.strictObject({
      name: z.string().regex(/^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]*$/),
      bytes: z.number().int().min(0),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  ),
});

/** What a checkpoint folder holds; written last, so a folder without one is not a checkpoint. */
export type Manifest = z.infer<typeof manifestSchema>;

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Describes every file in `folder`. */
export async function describeFolder(folder: string, step: number, score: number | null): Promise<Manifest> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const names = entries.map((entry) => relative(folder, join(entry.parentPath, entry.name))).sort();
  const files = [];
  for (const name of names) {
    const path = join(folder, name);
    files.push({ name, bytes: statSync(path).size, sha256: await sha256(path) });
  }
  return { format: FORMAT, version: VERSION, step, score, files };
}

/** @throws HyperArcError E_FORMAT if the manifest is absent or not one of ours. */
export function readManifest(folder: string): Manifest {
  const path = join(folder, MANIFEST_NAME);
  try {
    return manifestSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    throw new HyperArcError('E_FORMAT', `${path}: expected a checkpoint's manifest of version ${VERSION}`, { cause });
  }
}

/**
 * Checks sizes and SHA-256 of every file.
 * @throws HyperArcError E_FORMAT naming the first file that differs.
 */
export async function verifyFolder(folder: string): Promise<Manifest> {
  const manifest = readManifest(folder);
  for (const { name, bytes, sha256: expected } of manifest.files) {
    const path = join(folder, name);
    const found = existsSync(path) ? statSync(path).size : 0;
    if (found !== bytes) throw new HyperArcError('E_FORMAT', `${path}: expected ${bytes} bytes, received ${found}`);
    if ((await sha256(path)) !== expected) {
      throw new HyperArcError(
        'E_FORMAT',
        `${path}: expected the bytes that were saved, received others (SHA-256 differs)`,
      );
    }
  }
  return manifest;
}
