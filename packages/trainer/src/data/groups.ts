import { readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { parse } from 'yaml';

/** Which group images or identities are of. */
export interface Groups {
  /** In words, for messages and reports. */
  readonly source: string;
  /** Names in the order to show them; absent: alphabetical. */
  readonly order?: readonly string[];
  /** @param path `IDENTITY/IMAGE`. @returns the group of the image, else of its identity; undefined when neither has one. */
  groupOf(path: string): string | undefined;
}

/**
 * Reads groups: from `.csv` the columns `path` or `identity` (the first column where neither is named) and `column`, else from
 * YAML or JSON `identity: group` (or `path: group`). A CSV file needs a line of column names.
 * @param name How errors call the argument.
 * @param column CSV only; default the column after the key.
 * @throws HyperArcError E_FORMAT naming the file, the line or the column.
 */
export function readGroups(name: string, file: string, column?: string): Groups {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message;
    throw new HyperArcError('E_FORMAT', `${name}: expected a readable file, received ${file} (${reason}); check the path`, { cause });
  }
  const isCsv = extname(file).toLowerCase() === '.csv';
  if (!isCsv && column !== undefined) {
    throw new HyperArcError('E_RANGE', `${name}: expected a column (${column}) of a .csv file only, received ${file}; leave the column out`);
  }
  const groups = isCsv ? groupsOfCsv(name, file, text, column) : groupsOfYaml(name, file, text);
  return {
    source: column === undefined ? file : `${file}, ${column}`,
    groupOf: (path) => groups.get(path) ?? groups.get(path.split('/').slice(-2).join('/')) ?? groups.get(path.split('/').at(-2) ?? ''),
  };
}

/**
 * Groups of a column of numbers, cut at `edges`: below the first, from one edge (included) to the next, from the last on.
 * @param edges Increasing.
 * @throws HyperArcError E_FORMAT, at the first look-up, for a value that is no number.
 */
export function binGroups(name: string, groups: Groups, edges: readonly number[]): Groups {
  const names = [`below ${edges[0]}`, ...edges.slice(1).map((edge, i) => `${edges[i]} to ${edge}`), `${edges.at(-1)} and above`];
  return {
    source: groups.source,
    order: names,
    groupOf: (path) => {
      const text = groups.groupOf(path);
      if (text === undefined) return undefined;
      const value = Number(text);
      if (text.trim() === '' || Number.isNaN(value)) {
        throw new HyperArcError('E_FORMAT', `${name}: expected numbers in ${groups.source}, received ${text} for ${path}; leave the edges out or name another column`);
      }
      return names[edges.filter((edge) => value >= edge).length];
    },
  };
}

function groupsOfYaml(name: string, file: string, text: string): Map<string, string> {
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    throw new HyperArcError('E_FORMAT', `${name}: expected YAML or JSON, received ${file}; ${(cause as Error).message}`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new HyperArcError('E_FORMAT', `${name}: expected lines of identity: group, received other contents in ${file}`);
  }
  return new Map(
    Object.entries(value).map(([key, group]) => {
      if (typeof group === 'object') throw new HyperArcError('E_FORMAT', `${name}: expected the name of a group for ${key}, received ${JSON.stringify(group)} in ${file}`);
      return [key, String(group)];
    }),
  );
}

function groupsOfCsv(name: string, file: string, text: string, column: string | undefined): Map<string, string> {
  const [header = [], ...rows] = csvRows(text);
  const key = Math.max(0, header.findIndex((cell) => cell === 'path' || cell === 'identity'));
  const value = column === undefined ? key + 1 : header.indexOf(column);
  if (value < 0 || value >= header.length) {
    throw new HyperArcError('E_FORMAT', `${name}: expected a column ${column ?? 'after the key'} in ${file}, received ${header.join(', ') || 'an empty file'}; name one of these`);
  }
  const groups = new Map<string, string>();
  for (const [i, row] of rows.entries()) {
    const [path, group] = [row[key], row[value]];
    if (row.length !== header.length || !path || !group) {
      throw new HyperArcError('E_FORMAT', `${name}: expected ${header.length} cells, received "${row.join(',').slice(0, 120)}" at row ${i + 2} of ${file}; mend the line`);
    }
    const known = groups.get(path);
    if (known !== undefined && known !== group) {
      throw new HyperArcError('E_FORMAT', `${name}: expected one group of ${path}, received ${known} and ${group} in ${file}; keep one`);
    }
    groups.set(path, group);
  }
  return groups;
}

/** Cells of RFC 4180 without line breaks in them; empty lines are left out. */
export function csvRows(text: string): string[][] {
  return text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .filter((line) => line !== '')
    .map((line) => {
      if (!line.includes('"')) return line.split(',').map((cell) => cell.trim());
      return Array.from(line.matchAll(/(?:^|,)(?:\s*"((?:[^"]|"")*)"\s*(?=,|$)|([^,]*))/g), ([, quoted, plain = '']) =>
        quoted === undefined ? plain.trim() : quoted.replaceAll('""', '"'),
      );
    });
}
