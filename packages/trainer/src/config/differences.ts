import type { Config } from './schema.js';

/** Fields that may change when a run goes on: none of them changes what is computed. */
const FREE_ON_RESUME = new Set([
  'name',
  'output',
  'backend',
  'data.root',
  'data.workers',
  'data.prefetch',
  'head.device',
  'head.kernels',
  'training.logEvery',
  // When a run ends, not what its steps are.
  'training.earlyStop.patience',
  'training.earlyStop.minDelta',
  'training.earlyStop.on',
  'training.maxMinutes',
  'training.maxHours',
  // Of no effect on steps whose numbers are finite and whose images are whole: what a run that stopped at others can be told.
  'training.onNonFinite',
  'training.maxSkips',
  'data.onBadImage',
  'data.maxBadImages',
  'checkpoint.every',
  'checkpoint.keepLast',
  'checkpoint.keepBest',
  'evaluate.every',
  'evaluate.pairs',
  'evaluate.folds',
  'evaluate.weights',
  'evaluate.sets',
]);

function flatten(value: unknown, prefix: string, into: Map<string, string>): Map<string, string> {
  // A list of numbers is one field, a list of sections is not.
  const isSection =
    typeof value === 'object' && value !== null && (!Array.isArray(value) || typeof value[0] === 'object');
  if (isSection) {
    for (const [key, inner] of Object.entries(value)) flatten(inner, prefix === '' ? key : `${prefix}.${key}`, into);
  } else if (value !== undefined) {
    into.set(prefix, JSON.stringify(value));
  }
  return into;
}

/** Fields as JSON by key, with the keys of what is nested joined by points. */
export const flattenFields = (value: unknown): Map<string, string> => flatten(value, '', new Map());

/** Fields that differ, each as `key: was A, now B`, with the keys of what is nested joined by points. */
export function fieldDifferences(was: unknown, now: unknown): string[] {
  const before = flatten(was, '', new Map());
  const after = flatten(now, '', new Map());
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((key) => before.get(key) !== after.get(key))
    .map((key) => `${key}: was ${before.get(key) ?? 'unset'}, now ${after.get(key) ?? 'unset'}`);
}

/** Fields that differ and would make a resumed run another run, each as `key: was A, now B`. */
export function resumeDifferences(was: Config, now: Config): string[] {
  return fieldDifferences(was, now).filter((difference) => {
    const key = difference.slice(0, difference.indexOf(':'));
    return !FREE_ON_RESUME.has(key) && !key.startsWith('synth.');
  });
}
