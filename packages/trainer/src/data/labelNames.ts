import { byName } from './imageFolder.js';

/** Labels as whole numbers, not above 2⁵³: sorted as such, others by name. */
const isWhole = (name: string): boolean => /^\d{1,15}$/.test(name);

/** Distinct names in the order of their labels: by number where all are whole numbers, else by code unit. */
export function sortedIdentities(names: Iterable<string>): string[] {
  const distinct = [...new Set(names)];
  return distinct.every(isWhole)
    ? distinct.sort((a, b) => Number(a) - Number(b) || byName(a, b))
    : distinct.sort(byName);
}
