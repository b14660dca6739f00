/** Edit distance with transpositions of neighbours (optimal string alignment); O(a·b). */
export function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(previous[j]! + 1, current[j - 1]! + 1, previous[j - 1]! + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, beforePrevious[j - 2]! + 1);
      }
      current.push(best);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length]!;
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9.]/g, '');
}

/**
 * The candidate nearest to `name`, case and separators apart, if it is near enough to be what was meant: at most a third of its letters
 * differ. Candidates may be dotted paths; one whose last part equals `name` counts as near too.
 */
export function nearest(name: string, candidates: readonly string[]): string | undefined {
  const wanted = plain(name);
  const last = (path: string): string => path.slice(path.lastIndexOf('.') + 1);
  let best: string | undefined;
  let bestDistance = Infinity;
  for (const candidate of candidates) {
    const whole = editDistance(wanted, plain(candidate));
    // A part found elsewhere in the tree ranks behind an equal misspelling of the whole path.
    const part = editDistance(last(wanted), plain(last(candidate))) + 0.5;
    const limit = Math.max(1, Math.floor(last(wanted).length / 3));
    const distance = Math.min(whole, part);
    if (distance < bestDistance && distance <= limit + 0.5) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}
