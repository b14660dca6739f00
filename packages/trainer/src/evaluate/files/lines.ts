import { closeSync, readSync } from 'node:fs';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import { openToRead } from '../../files.js';

const CHUNK_BYTES = 1 << 20;
const NEWLINE = 0x0a;
/** No list of the protocols comes near; a file without newlines is none of theirs. */
const MAX_LINE_BYTES = 1 << 16;

/** The error of a line of a list. `expected` is a noun with what belongs to it; `line` counts from 1. */
export function badLine(
  path: string,
  line: number,
  expected: string,
  received: string,
  cause?: unknown,
): HyperArcError {
  const shown = received.length > 100 ? `${received.slice(0, 100)}…` : received;
  return new HyperArcError('E_FORMAT', `${path}:${line}: expected ${expected}, received "${shown}"; mend the line`, {
    cause,
  });
}

/**
 * Calls `visit` with each line of a UTF-8 text and its number from 1, without its end (\n or \r\n). The last line may have none; blank lines are
 * passed over. Holds 1 MiB, whatever the file's size.
 * @throws HyperArcError E_FORMAT for a file that cannot be read, or with a line above 64 KiB; what `visit` throws.
 */
export function forEachLine(path: string, visit: (text: string, line: number) => void): void {
  const file = openToRead(path, 'a readable file', "check the folder's layout");
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    let held = 0;
    let line = 0;
    const take = (from: number, to: number) => {
      line += 1;
      const text = chunk.toString('utf8', from, to > from && chunk[to - 1] === 0x0d ? to - 1 : to);
      const clean = line === 1 ? text.replace(/^\uFEFF/, '') : text;
      if (clean.trim() !== '') visit(clean, line);
    };
    for (;;) {
      const count = readList(path, file, chunk, held);
      const end = held + count;
      let start = 0;
      for (let at = chunk.indexOf(NEWLINE, held); at >= 0 && at < end; at = chunk.indexOf(NEWLINE, start)) {
        take(start, at);
        start = at + 1;
      }
      if (count === 0) {
        if (end > start) take(start, end);
        return;
      }
      held = end - start;
      if (held > MAX_LINE_BYTES) throw badLine(path, line + 1, 'lines of text', `${held} bytes without an end of line`);
      chunk.copyWithin(0, start, end);
    }
  } finally {
    closeSync(file);
  }
}

function readList(path: string, file: number, chunk: Buffer, held: number): number {
  try {
    return readSync(file, chunk, held, chunk.length - held, null);
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message;
    throw new HyperArcError(
      'E_FORMAT',
      `${path}: expected a readable file, received ${reason}; check the folder's layout`,
      { cause },
    );
  }
}

/** A whole number in [0, 2^31), or undefined. */
export function parseIndex(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  const value = Number(text);
  return value < 2 ** 31 ? value : undefined;
}

/** A path that stays in the folder it is relative to. */
export function isInside(path: string): boolean {
  return path !== '' && !path.startsWith('/') && !path.includes('\0') && !path.split(/[/\\]/).includes('..');
}
