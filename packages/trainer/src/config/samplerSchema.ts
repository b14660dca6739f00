import * as z from 'zod';

import { integer, oneOf, text } from './fields.js';

const KINDS = ['shuffle', 'balanced', 'group-balanced'] as const;

/** `data.sampler`: a word, or a section with the word as its `kind`. */
export const samplerSchema = z.preprocess(
  (raw, context) => {
    if (typeof raw !== 'string') return raw;
    if (!(KINDS as readonly string[]).includes(raw)) {
      context.issues.push({ code: 'custom', input: raw, path: [], message: `expected one of ${KINDS.join(', ')}` });
      return { kind: 'shuffle' };
    }
    return { kind: raw };
  },
  z.strictObject({
    kind: oneOf(KINDS),
    /** balanced: identities of a batch (P) and images of each (K); P·K is training.batchSize. */
    identities: integer({ min: 1, max: 65536 }).optional(),
    images: integer({ min: 1, max: 1024 }).optional(),
    /** group-balanced: a YAML or JSON file of `identity: group`, or a CSV file. */
    groups: text(/./, 'the path of a file').optional(),
    /** group-balanced, CSV: the column of the groups (default: the second). */
    column: text(/./, "a column's name").optional(),
  }),
);

type SamplerConfig = z.infer<typeof samplerSchema>;

/** What is wrong with a sampler whose keys are right one by one. */
export function samplerProblems(config: {
  data: { sampler?: SamplerConfig | undefined };
  training: { batchSize: number | 'auto' };
}): string[] {
  const { sampler } = config.data;
  if (sampler === undefined) return [];
  const { kind, identities, images } = sampler;
  const problems: string[] = [];
  const keysOf = { shuffle: [], balanced: ['identities', 'images'], 'group-balanced': ['groups', 'column'] } as const;
  for (const [owner, keys] of Object.entries(keysOf)) {
    for (const key of keys) {
      const where = `data.sampler.${key}: expected with data.sampler.kind ${owner}`;
      if (owner !== kind && sampler[key] !== undefined) problems.push(`${where}, received kind ${kind}; remove it`);
      if (owner === kind && key !== 'column' && sampler[key] === undefined) problems.push(`${where}, received nothing`);
    }
  }
  if (problems.length === 0 && kind === 'balanced' && identities! * images! !== config.training.batchSize) {
    problems.push(
      `data.sampler: expected identities × images = training.batchSize ${config.training.batchSize}, received ${identities} × ${images}`,
    );
  }
  return problems;
}
