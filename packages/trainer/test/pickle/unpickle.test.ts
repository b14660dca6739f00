import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { NumpyArray, numpyGlobals, PickleReference, plainGlobals, unpickle } from '../../dist/pickle/index.js';

/** Written by make_pickles.py with CPython's pickler; values as pickle.load answered. */
const { cases, persistent } = JSON.parse(readFileSync(new URL('./vectors.json', import.meta.url), 'utf8')) as {
  cases: { name: string; encoding: 'latin1' | 'bytes'; pickle: string; value: unknown }[];
  persistent: string[];
};

const globals = new Map([...plainGlobals, ...numpyGlobals]);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** As make_pickles.py writes values. */
function tag(value: unknown): unknown {
  if (typeof value === 'bigint') return { int: String(value) };
  if (typeof value === 'number' && !Number.isFinite(value)) {
    return { float: Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf' };
  }
  if (value instanceof Uint8Array) return { bytes: hex(value) };
  if (Array.isArray(value)) return value.map(tag);
  if (value instanceof Map) return { dict: [...value].map(([key, item]) => [tag(key), tag(item)]) };
  if (value instanceof Set) return { set: [...value].map(tag).sort() };
  if (value instanceof NumpyArray) {
    const { dtype, shape, fortranOrder, bytes } = value;
    const elements = Array.from({ length: bytes.length / dtype.itemBytes }, (_, i) => value.at(i));
    const values = dtype.kind === 'b1' ? elements.map((element) => element === 1) : elements.map(Number);
    return { array: [dtype.kind, shape, fortranOrder ? 'F' : 'C', values] };
  }
  return value;
}

const ascii = (text: string) => Buffer.from(text, 'latin1');

describe('values of CPython', () => {
  it.each(cases)('$name', ({ pickle, encoding, value }) => {
    const bytes = Buffer.from(pickle, 'base64');
    const result = unpickle(bytes, { globals, encoding });
    expect(result.end).toBe(bytes.length);
    expect(tag(result.value)).toEqual(value);
  });

  it('keeps one object one', () => {
    const { value } = unpickle(Buffer.from(cases.find(({ name }) => name === 'shared, protocol 2')!.pickle, 'base64'), {
      globals,
    });
    const [first, second, both] = value as unknown[][];
    expect(first).toBe(second);
    expect(both![0]).toBe(first);
  });

  it('takes bytes as views of the input', () => {
    const input = Buffer.from('\x80\x03C\x03abcq\x00.', 'latin1');
    const { value } = unpickle(input);
    expect((value as Uint8Array).buffer).toBe(input.buffer);
  });
});

describe('objects', () => {
  it.each(persistent)('asks for what is kept outside (%#)', (pickle) => {
    const ids: unknown[] = [];
    const persistentLoad = (id: unknown) => ids.push(id);
    const { value } = unpickle(Buffer.from(pickle, 'base64'), { globals, persistentLoad });
    expect(value).toEqual(
      new Map([
        ['w', 1],
        ['b', 2],
      ]),
    );
    expect(ids).toEqual([
      ['storage', expect.any(PickleReference), '0', 'cpu', 4],
      ['storage', expect.any(PickleReference), '1', 'cpu', 4],
    ]);
    expect((ids[0] as PickleReference[])[1]!.name).toBe('collections OrderedDict');
    expect(() => unpickle(Buffer.from(pickle, 'base64'), { globals })).toThrow(/E_FORMAT: .*outside of it/);
  });

  it('calls what it is given, by every opcode, and hands on state', () => {
    const seen: unknown[] = [];
    const made = { made: true };
    const own = new Map([
      [
        'own Thing',
        {
          call: (args: readonly unknown[], kwargs: ReadonlyMap<unknown, unknown>) => (
            seen.push([...args, kwargs.size]),
            made
          ),
          setState: (object: object, state: unknown) => void seen.push([object === made, state]),
        },
      ],
      ['own Name', {}],
    ]);
    const read = (text: string) => unpickle(ascii(text), { globals: own }).value;
    expect(read('cown\nThing\n(K\x01tRK\x02b.')).toBe(made);
    expect(read('cown\nThing\nK\x03\x85\x81.')).toBe(made);
    expect(read('cown\nThing\n)}X\x01\x00\x00\x00kK\x04s\x92.')).toBe(made);
    expect(read('(K\x05iown\nThing\n.')).toBe(made);
    expect(read('(cown\nThing\nK\x06o.')).toBe(made);
    expect(read('\x80\x04\x8c\x03own\x8c\x05Thing\x93)R.')).toBe(made);
    expect(seen).toEqual([[1, 0], [true, 2], [3, 0], [1], [5, 0], [6, 0], [0]]);
    expect(read('cown\nName\n.')).toBeInstanceOf(PickleReference);
    expect(() => read('cown\nName\n)R.')).toThrow(
      /a global that may be called at byte \d+, received the global "own.Name"/,
    );
  });

  it('reads several pickles of one file', () => {
    const bytes = ascii('K\x01.K\x02.');
    const first = unpickle(bytes);
    const second = unpickle(bytes, { offset: first.end });
    expect([first, second]).toEqual([
      { value: 1, end: 3 },
      { value: 2, end: 6 },
    ]);
  });
});

describe('what is refused', () => {
  it.each([
    ['cos\nsystem\n(S"true"\ntR.', 0, 'os.system'],
    ['\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.', 18, 'builtins.eval'],
    ['(S"true"\nios\nsystem\n.', 9, 'os.system'],
    ['ccollections\nconstructor\n.', 0, 'collections.constructor'],
    ['c__proto__\ntoString\n.', 0, '__proto__.toString'],
  ])('code: %j', (text, at, global) => {
    expect(() => unpickle(ascii(text), { globals, name: 'evil.bin' })).toThrow(
      `evil.bin: expected a pickle of data at byte ${at}, received a pickle that asks for code, "${global}"; it is not run`,
    );
  });

  it.each([
    ['', /1 bytes at byte 0, received 0/],
    ['\xff\xd8\xff\xe0', /a pickle opcode at byte 0, received byte 0xff; the file is no pickle/],
    ['\x80\x06N.', /a protocol up to 5 at byte 0, received 6/],
    ['N', /1 bytes at byte 1, received 0 up to the end; the pickle is cut short/],
    ['C\x05abc', /5 bytes at byte 2, received 3/],
    ['B\xff\xff\xff\xff', /4294967295 bytes/],
    ['\x8e\xff\xff\xff\xff\xff\xff\xff\xff', /bytes at byte 9, received 0/],
    ['T\xff\xff\xff\xff.', /a length at byte 0, received -1/],
    ['\x8b\x00\x00\x00\x7f', /an int of at most 4096 bytes/],
    ['\x95\xff\x00\x00\x00\x00\x00\x00\x00N.', /a frame of 255 bytes/],
    ['.', /something on the stack at byte 1, received nothing/],
    ['(1.', /something on the stack at byte 3, received nothing/],
    ['N(.', /something on the stack/],
    ['t.', /a mark on the stack/],
    ['Na.', /something on the stack/],
    ['NNa.', /a list to append to at byte 2, received None/],
    ['}NN\x90.', /a mark/],
    ['](N\x90.', /a set to add to/],
    ['}(Nu.', /keys and values at byte 3, received 1 items/],
    ['](NNu.', /a dict to fill at byte 4, received a sequence of 0/],
    ['h\x00.', /what was put at 0 of the memo/],
    ['Nr\xff\xff\xff\xff.', /an index of the memo/],
    ['Np-1\n.', /an index of the memo at byte 1/],
    ['Ix\n.', /an int/],
    ['I99999999999999999999x\n.', /an int/],
    ['F1.5.2\n.', /a float/],
    ["S'abc\n.", /a string in quotes/],
    ["S'\\xg0'\n.", /two hexadecimal digits/],
    ['X\x02\x00\x00\x00\xc3\x28.', /UTF-8 text at byte 5/],
    ['V\\U00110000\n.', /a code point/],
    ['NN\x93.', /the name of a module/],
    ['N)R.', /a global to call at byte 2, received None/],
    ['ccollections\nOrderedDict\nNR.', /a tuple of arguments/],
    [']Nb.', /an object that takes state at byte 2, received a sequence of 0/],
    ['\x82\x01.', /globals by name/],
    ['\x97.', /buffers within the pickle/],
    ['Q.', /something on the stack/],
    ['NQ.', /all data within the pickle/],
    ['ccollections\nOrderedDict\n](NNN\x87e\x85R.', /byte 33: collections.OrderedDict: expected pairs/],
  ])('%j', (text, message) => {
    const error = (() => {
      try {
        return unpickle(ascii(text), { globals });
      } catch (thrown) {
        return thrown as Error;
      }
    })();
    expect(error).toMatchObject({ code: 'E_FORMAT', message: expect.stringMatching(message) as string });
  });

  it.each([
    ['another shape', 'U\x02u1', 'K\x05\x85', /5 bytes of an array \[5\], received 4/],
    ['a dtype of objects', 'U\x02O8', 'K\x04\x85', /numpy.dtype: expected one of b1, .*received "O8"/],
    ['a negative size', 'U\x02u1', 'J\xfc\xff\xff\xff\x85', /the shape of an array/],
  ])('an array of %s', (_, type, shape, message) => {
    const text =
      `\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01${shape}cnumpy\ndtype\n` +
      `${type}K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x04abcdtb.`;
    expect(() => unpickle(ascii(text), { globals })).toThrow(message);
  });

  it('shows no control characters of the pickle', () => {
    const attempt = () => unpickle(ascii('c\x1b[2Jos\nsys\x07tem\n.'));
    expect(attempt).toThrow(/"\\u001b\[2Jos\.sys\\u0007tem"/);
  });
});

describe('time and memory', () => {
  it('reads a nesting as deep as the pickle is long', () => {
    const depth = 200_000;
    const { value } = unpickle(ascii(`${']'.repeat(depth)}${'a'.repeat(depth - 1)}.`));
    let reached = 0;
    for (let list = value as unknown[]; list !== undefined; list = list[0] as unknown[]) reached++;
    expect(reached).toBe(depth);
  });

  it('a list may hold itself', () => {
    const { value } = unpickle(ascii(']q\x00h\x00a.'));
    expect((value as unknown[])[0]).toBe(value);
  });

  it('refuses a few bytes that copy a long text again and again', () => {
    const text = 'x'.repeat(1 << 16);
    const begin = `c_codecs\nencode\nq\x00X\x00\x00\x01\x00${text}q\x01X\x06\x00\x00\x00latin1q\x02(`;
    const once = 'h\x00h\x01h\x02\x86R';
    const copies = (count: number) => unpickle(ascii(`${begin}${once.repeat(count)}l.`), { globals });
    expect((copies(3).value as unknown[]).length).toBe(3);
    expect(() => copies(10_000)).toThrow(/E_FORMAT: .*unfolds to far more than its length/);
  });

  it.each([
    ['OrderedDict', 'ccollections\nOrderedDict\nq\x01', '(' + 'NN\x86'.repeat(5000) + 'lq\x02', 'h\x01h\x02\x85R'],
    ['dicts', '', '', '}'],
  ])('refuses a pickle of %s without end', (_, callee, list, once) => {
    const text = `${callee}${list}(${once.repeat(100_000)}l.`;
    expect(() => unpickle(ascii(text), { globals })).toThrow(/unfolds to far more/);
  });

  it('numbers of many digits are refused before they are converted', () => {
    expect(() => unpickle(ascii(`L${'9'.repeat(1_000_000)}L\n.`))).toThrow(/at most 4300 digits/);
  });
});
