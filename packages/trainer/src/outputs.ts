import { closeSync, existsSync, mkdtempSync, openSync, readSync, rmdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

// The rule of every command: what it makes anew is not written over anything; a report is written over one of its own kind.

/** Bytes in which a report says what it is. */
const HEAD_BYTES = 4096;

/** What a report of each kind has among its first bytes. */
const MARKS = {
  evaluation: '"format": "hyperarc-evaluation-',
  'IJB evaluation': '"format": "hyperarc-ijb-',
  'MegaFace evaluation': '"format": "hyperarc-megaface-',
  'robustness evaluation': '"format": "hyperarc-robustness-',
  'fairness evaluation': '"format": "hyperarc-fairness-',
  report: ' · HyperArc report</title>',
  comparison: ' · HyperArc comparison</title>',
  // As echarts begins a drawing.
  'heads plot': 'version="1.1" baseProfile="full" viewBox=',
} as const;

export type ReportKind = keyof typeof MARKS;

/**
 * Before the work: that a file or folder of a dataset, a model, a picture or embeddings can be written to `path`.
 * @param name the argument's or the option's
 * @param what what is written, as its user would name it
 * @throws HyperArcError E_RANGE if there is something already, or nothing can be written there.
 */
export function checkNewOutput(name: string, path: string, what = 'a name'): void {
  if (existsSync(path)) {
    throw new HyperArcError(
      'E_RANGE',
      `${name}: expected ${what} that is not there yet, received ${path}; name another or remove it`,
    );
  }
  checkPlace(name, path);
}

/**
 * Before the work: that a report can be written to `path`, or written again over an older one.
 * @throws HyperArcError E_RANGE if there is something else, or nothing can be written there.
 */
export function checkReportOutput(name: string, path: string, kind: ReportKind): void {
  if (existsSync(path) && !firstBytes(path).includes(MARKS[kind])) {
    throw new HyperArcError(
      'E_RANGE',
      `${name}: expected a name that is not there yet, or an older ${kind} to replace, received ${path}, which is something else; name another or remove it`,
    );
  }
  checkPlace(name, path);
}

/**
 * That something can be made at `path`, with the folders that lead there.
 * @throws HyperArcError E_RANGE naming the folder that cannot be written to.
 */
export function checkPlace(name: string, path: string): void {
  let folder = dirname(resolve(path));
  while (!existsSync(folder)) folder = dirname(folder);
  try {
    // Permissions do not tell: root has them below /proc too, where nothing can be made.
    rmdirSync(mkdtempSync(join(folder, '.hyperarc-')));
  } catch (cause) {
    const { code = 'another error' } = cause as NodeJS.ErrnoException;
    throw new HyperArcError(
      'E_RANGE',
      `${name}: expected a place that can be written to, received ${path} (${code} in ${folder}); name another`,
      { cause },
    );
  }
}

/** As text; none of a folder or of what cannot be read. */
function firstBytes(path: string): string {
  const head = Buffer.alloc(HEAD_BYTES);
  try {
    // A pipe would be waited for.
    if (!statSync(path).isFile()) return '';
    const file = openSync(path, 'r');
    try {
      return head.toString('utf8', 0, readSync(file, head, 0, HEAD_BYTES, 0));
    } finally {
      closeSync(file);
    }
  } catch {
    return '';
  }
}
