/** A Map ends at 2²⁴ entries, and datasets do not. */
const MAP_ENTRIES = 2 ** 23;

/** Finds the index of a name among `count` distinct ones; the table for it is made at the first look. */
export function nameLookup(count: number, nameOf: (index: number) => string): (name: string) => number | undefined {
  let maps: Map<string, number>[] | undefined;
  return (name) => {
    maps ??= Array.from({ length: Math.ceil(count / MAP_ENTRIES) }, (_, part) => {
      const map = new Map<string, number>();
      for (let i = part * MAP_ENTRIES; i < Math.min(count, (part + 1) * MAP_ENTRIES); i++) map.set(nameOf(i), i);
      return map;
    });
    return maps.map((map) => map.get(name)).find((index) => index !== undefined);
  };
}
