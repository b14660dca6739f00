// Stamps: what a set-up step was made from, so that a second run can skip it without starting a build tool.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const SKIP = /^(node_modules|dist|build|build-.*|test|tests|results|\..*)$/;

function* walk(path) {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return;
  if (!stat.isDirectory()) {
    yield `${path} ${stat.size} ${stat.mtimeMs}`;
    return;
  }
  for (const name of readdirSync(path).sort()) if (!SKIP.test(name)) yield* walk(join(path, name));
}

/** Digest of names, sizes and times of all files below `paths`, and of `facts`. */
export function digestOf(paths, facts) {
  const hash = createHash('sha256');
  for (const path of paths) for (const line of walk(path)) hash.update(line + '\n');
  hash.update(JSON.stringify(facts));
  return hash.digest('hex');
}

/** Whether `stampFile` holds `digest` and every one of `outputs` is there. */
export function isCurrent(stampFile, digest, outputs) {
  return (
    outputs.every((path) => existsSync(path)) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === digest
  );
}

export function writeStamp(stampFile, digest) {
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(`${stampFile}.tmp`, digest);
  renameSync(`${stampFile}.tmp`, stampFile);
}
