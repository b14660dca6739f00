import { createHash } from 'node:crypto';

import type { MarginSpec } from '@hyperarc/heads';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import { fieldDifferences } from '../config/differences.js';

/** Lists with an entry for each class or group are kept as a digest: a state of millions of numbers would help nobody. */
const LONGEST_LIST = 16;

/** The numbers of a margin as a checkpoint keeps them; plain data. */
export type MarginRecord = Record<string, unknown>;

function summarizeList(value: unknown): unknown {
  if (!Array.isArray(value) || value.length <= LONGEST_LIST) return value;
  return `${value.length} values, sha256 ${createHash('sha256').update(JSON.stringify(value)).digest('hex')}`;
}

/** All numbers of `margin`, those that its family chose by itself included; long lists as their length and SHA-256. */
export function marginRecord(margin: MarginSpec): MarginRecord {
  return JSON.parse(JSON.stringify(margin, (_, value: unknown) => summarizeList(value))) as MarginRecord;
}

/**
 * Keeps a run from going on with other numbers than it began with, as with another version of HyperArc, whose defaults differ.
 * @param saved of the checkpoint; undefined in those written before margins were recorded, which pass.
 * @throws HyperArcError E_RANGE naming each number that differs.
 */
export function checkMarginRecord(margin: MarginSpec, saved: MarginRecord | undefined): void {
  if (saved === undefined) return;
  const differences = fieldDifferences(saved, marginRecord(margin));
  if (differences.length === 0) return;
  throw new HyperArcError(
    'E_RANGE',
    `margin: expected the numbers of the checkpoint, received others (${differences.join('; ')}); ` +
      'give them in the head section of the configuration, or start a new run',
  );
}
