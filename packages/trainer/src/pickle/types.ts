import type { HyperArcErrorCode } from '@hyperarc/kernels-cuda';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

/** What stands for one Python global (a class or function) that a pickle may name. */
export interface PickleGlobal {
  /**
   * Makes what `global(*args, **kwargs)` makes in Python. It must take time and memory at most linear in its arguments' own sizes. Absent: the
   * pickle may name the global, as `torch.FloatStorage` in a persistent id, but not call it.
   */
  readonly call?: (args: readonly unknown[], kwargs: ReadonlyMap<unknown, unknown>) => unknown;
  /** Gives an object that `call` made its state, as `__setstate__` does. Absent: state is refused. */
  readonly setState?: (object: object, state: unknown) => void;
}

/** Globals by `'module name'`, the two joined by a space: `'collections OrderedDict'`. */
export type PickleGlobals = ReadonlyMap<string, PickleGlobal>;

/** A global where a pickle uses it as a value, say as an argument: compare its name. */
export class PickleReference {
  /** @param name `'module name'`. */
  constructor(
    readonly name: string,
    readonly global: PickleGlobal,
  ) {}
}

export interface UnpickleOptions {
  /** What error messages call the pickle, usually its path. Default `pickle`. */
  readonly name?: string;
  /** Where it begins, in bytes. Default 0. */
  readonly offset?: number;
  /** What it may name. Any other global is refused. Default: none. */
  readonly globals?: PickleGlobals;
  /** Answers an object kept outside of the pickle. Default: such references are refused. */
  readonly persistentLoad?: (id: unknown) => unknown;
  /** What `str` of Python 2 becomes: a string of code points below 256, or a Uint8Array. As `pickle.load(encoding=…)`. Default `latin1`. */
  readonly encoding?: 'latin1' | 'bytes';
}

/** Throws E_FORMAT, or another code, in the house's form. */
export function refuse(name: string, expected: string, received: string, code: HyperArcErrorCode = 'E_FORMAT'): never {
  throw new HyperArcError(code, `${name}: expected ${expected}, received ${received}`);
}

const LONGEST_SHOWN = 80;

/** A string of a pickle as messages show it: quoted, without control characters, cut. */
export function quote(text: string): string {
  const cut = text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
  return JSON.stringify(cut).replace(/[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '?');
}

/** What kind of thing a value is, for messages: never its contents. */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'None';
  if (Array.isArray(value)) return `a sequence of ${value.length}`;
  if (value instanceof Map) return `a dict of ${value.size}`;
  if (value instanceof Set) return `a set of ${value.size}`;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (value instanceof PickleReference) return `the global ${quote(value.name.replace(' ', '.'))}`;
  if (typeof value === 'string') return `the text ${quote(value)}`;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'bigint') return 'a large int';
  return 'an object';
}
