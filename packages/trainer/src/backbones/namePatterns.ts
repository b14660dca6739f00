/** `stage*` of a name's part as a regular expression. */
function partMatcher(part: string): RegExp {
  const escaped = part.split('*').map((text) => text.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${escaped.join('.*')}$`);
}

function matchParts(wanted: readonly string[], parts: readonly string[]): boolean {
  if (wanted.length === 0) return true;
  const [first, ...rest] = wanted;
  if (first === '**' && matchParts(rest, parts)) return true;
  if (parts.length === 0) return false;
  if (first === '**') return matchParts(wanted, parts.slice(1));
  return partMatcher(first!).test(parts[0]!) && matchParts(rest, parts.slice(1));
}

/**
 * Whether a pattern names `name`, or what it begins with: `stage1/block2` is all that is in that block. `*` stands for anything within
 * a part (`stage*`), `**` as a part for any number of parts.
 */
export function matchesName(pattern: string, name: string): boolean {
  return matchParts(pattern.split('/'), name.split('/'));
}

/** `stage1`, `stage1/block1`, `stage1/block1/conv1`: all that a pattern without stars may name. */
export function prefixesOf(names: readonly string[]): string[] {
  const prefixes = names.flatMap((name) => {
    const parts = name.split('/');
    return parts.map((_, i) => parts.slice(0, i + 1).join('/'));
  });
  return [...new Set(prefixes)];
}
