import { existsSync, readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';

import { HyperArcError } from '@hyperarc/kernels-cuda';
import { parse, stringify } from 'yaml';

import { checkConfig, checkRequest } from './check.js';
import { resolveConfigPath } from './recipes.js';
import type { Config, ConfigRequest } from './schema.js';

type Section = { [key: string]: unknown };

function isSection(value: unknown): value is Section {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `over` laid on `base`, section by section. A null takes a key away, so that its default holds again. */
function merge(base: Section, over: Section): Section {
  const merged: Section = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = Object.hasOwn(base, key) ? base[key] : undefined;
    merged[key] = isSection(value) ? merge(isSection(below) ? below : {}, value) : value;
  }
  return merged;
}

/** Nulls mean "unset", except for the one field where null is a value. */
function dropNulls(section: Section, prefix = ''): Section {
  return Object.fromEntries(
    Object.entries(section)
      .filter(([key, value]) => value !== null || `${prefix}${key}` === 'optimizer.clipNorm')
      .map(([key, value]) => [key, isSection(value) ? dropNulls(value, `${prefix}${key}.`) : value]),
  );
}

function readYaml(path: string): Section {
  let source: string;
  try {
    source = readFileSync(path, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new HyperArcError('E_RANGE', `configuration: expected a readable file, received ${path} (${code})`, {
      cause,
    });
  }
  let value: unknown;
  try {
    value = parse(source) ?? {};
  } catch (cause) {
    throw new HyperArcError('E_FORMAT', `${path}: expected YAML; ${(cause as Error).message}`, { cause });
  }
  if (!isSection(value)) {
    throw new HyperArcError(
      'E_FORMAT',
      `${path}: expected keys and values at the top, received ${JSON.stringify(value)}`,
    );
  }
  return value;
}

/** Reads a file and, underneath it, the one it extends: a path relative to the file that names it, or a recipe. */
function readWithBases(path: string, above: readonly string[] = []): Section {
  const file = resolve(path);
  if (above.includes(file)) {
    const names = [...above, file].map((name) => relative(process.cwd(), name));
    throw new HyperArcError('E_RANGE', `extends: expected no cycle, received ${names.join(' → ')}`);
  }
  const { extends: base, ...own } = readYaml(file);
  if (base === undefined) return own;
  if (typeof base !== 'string') {
    throw new HyperArcError(
      'E_RANGE',
      `extends: expected the path of a file, received ${JSON.stringify(base)} in ${path}`,
    );
  }
  const beside = resolve(dirname(file), base);
  const found = existsSync(beside) ? beside : resolveConfigPath(base, `extends in ${path}`);
  return merge(readWithBases(found, [...above, file]), own);
}

/** `a.b=1` as { a: { b: 1 } }; the value is read as YAML, so `[3, 5]`, `1e-3`, `true` and `null` mean what they look like. */
export function parseOverride(argument: string): Section {
  const equals = argument.indexOf('=');
  const path = argument.slice(0, Math.max(0, equals)).split('.');
  if (equals < 1 || path.some((key) => !/^[A-Za-z][A-Za-z0-9_-]*$/.test(key))) {
    throw new HyperArcError('E_RANGE', `override: expected key=value such as training.epochs=3, received ${argument}`);
  }
  let value: unknown;
  try {
    value = parse(argument.slice(equals + 1));
  } catch (cause) {
    throw new HyperArcError('E_FORMAT', `override ${argument}: expected a YAML value; ${(cause as Error).message}`, {
      cause,
    });
  }
  return path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as Section;
}

/** A YAML file or recipe, what it `extends`, and `key=value` overrides on top, unchecked. */
function readMerged(path: string, overrides: readonly string[]): Section {
  const file = resolveConfigPath(path);
  return dropNulls(
    overrides.reduce((section, argument) => merge(section, parseOverride(argument)), readWithBases(file)),
  );
}

/**
 * Reads a YAML configuration (a file, or a recipe by its name), what it `extends`, and `key=value` overrides on top, and checks the result.
 * @throws HyperArcError E_RANGE listing every problem, `training.batchSize: auto` among them; E_FORMAT if a file is not YAML.
 */
export function loadConfig(path: string, overrides: readonly string[] = []): Config {
  return checkConfig(readMerged(path, overrides), path);
}

/** {@link loadConfig}, but that `training.batchSize` may be `auto`: settleBatchSize then finds the number. */
export function loadRequest(path: string, overrides: readonly string[] = []): ConfigRequest {
  return checkRequest(readMerged(path, overrides), path);
}

/** The resolved configuration as YAML; {@link loadConfig} reads it back to the same values. */
export function formatConfig(config: ConfigRequest): string {
  return stringify(config);
}
