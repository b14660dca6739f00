import { kindOf, refuse, type PickleGlobal, type PickleGlobals } from './types.js';

/** Text of code points below 256 as bytes: Python 3 writes bytes so up to protocol 2. */
export function latin1Bytes(text: string, name = '_codecs.encode'): Uint8Array {
  // Two bytes a code point would be cut to one without a word.
  if (/[^\0-\xff]/.test(text)) refuse(name, 'text of code points below 256', 'others');
  return new Uint8Array(Buffer.from(text, 'latin1'));
}

/** A short word: `str` of Python 2 comes as text or bytes, as the reader was told to. Anything else is ''. */
export function asciiText(value: unknown): string {
  if (value instanceof Uint8Array && value.length <= 32) return Buffer.from(value).toString('latin1');
  return typeof value === 'string' ? value : '';
}

const isLatin1 = (encoding: unknown): boolean => /^(latin[-_]?1|iso-?8859-1)$/.test(asciiText(encoding));

const encode: PickleGlobal = {
  call([text, encoding]) {
    if (typeof text !== 'string' || !isLatin1(encoding)) {
      refuse('_codecs.encode', 'text and latin1', `${kindOf(text)} and ${kindOf(encoding)}`);
    }
    return latin1Bytes(text);
  },
};

/** bytes() and bytearray(), bytearray(bytes), bytearray(text, 'latin-1'), bytes(list of ints) of Python 2.7's backports. */
const bytes: PickleGlobal = {
  call(args) {
    const [value, encoding] = args;
    if (args.length === 0) return new Uint8Array(0);
    if (value instanceof Uint8Array) return value;
    if (typeof value === 'string' && isLatin1(encoding)) return latin1Bytes(value, 'bytes');
    return refuse('bytes', 'bytes or latin1 text', kindOf(value));
  },
};

const set: PickleGlobal = {
  call([items = []]) {
    return Array.isArray(items) ? new Set<unknown>(items) : refuse('set', 'a list of items', kindOf(items));
  },
};

/** A Map. Its attributes (PyTorch keeps `_metadata` there) are left out. */
const orderedDict: PickleGlobal = {
  call([items = []]) {
    const isPair = (item: unknown): item is [unknown, unknown] => Array.isArray(item) && item.length === 2;
    if (items instanceof Map) return new Map<unknown, unknown>(items);
    if (Array.isArray(items) && items.every(isPair)) return new Map<unknown, unknown>(items);
    return refuse('collections.OrderedDict', 'pairs of key and value', kindOf(items));
  },
  setState: () => undefined,
};

/** Globals that plain data of Python 2 and 3 name: `bytes` of old protocols, sets, OrderedDict (a Map). */
export const plainGlobals: PickleGlobals = new Map([
  ['_codecs encode', encode],
  ['collections OrderedDict', orderedDict],
  ...['builtins', '__builtin__'].flatMap((module): [string, PickleGlobal][] => [
    [`${module} bytes`, bytes],
    [`${module} bytearray`, bytes],
    [`${module} set`, set],
    [`${module} frozenset`, set],
  ]),
]);
