import type { SetupEnvironment, SetupOptions } from './setup-tensorflow.mjs';

export type LibrarySource =
  { kind: 'folder'; folder: string } | { kind: 'wheel'; variant: 'cpu' | 'cuda' } | { kind: 'archive'; url: string };

export const WHEEL_VERSION: string;
export const ARCHIVE_VERSION: string;
export const ARCHIVE_URL: string;
export const WASM_COST: string;
/** The same in a phrase. */
export const WASM_SLOWDOWN: string;
export function chooseSources(
  environment: SetupEnvironment,
  options?: SetupOptions,
): { sources: LibrarySource[]; obstacles: string[] };
export function sourceKey(source: LibrarySource, environment: SetupEnvironment, hash: (text: string) => string): string;
export function describeSource(source: LibrarySource): string;
