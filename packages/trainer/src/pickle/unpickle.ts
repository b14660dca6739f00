import { Budget, COLLECTION_UNITS } from './budget.js';
import { ByteReader } from './byteReader.js';
import { GlobalCalls, type Place } from './globalCalls.js';
import { binaryInteger, decimalFloat, decimalInteger } from './numbers.js';
import { HIGHEST_PROTOCOL, OP } from './opcodes.js';
import { Stack } from './stack.js';
import { quotedString, rawUnicode } from './text.js';
import { kindOf, quote, type UnpickleOptions } from './types.js';

/**
 * Reads one pickle (protocols 0 to 5, of Python 2 or 3) without running any of it: a pickle is a program that may call any global by name, and
 * here it may name only those it is given. Time and memory are linear in its length, and nothing recurses.
 *
 * None, bool, float: null, boolean, number. int: number, or bigint beyond 2⁵³. str of Python 3, unicode of Python 2: string. bytes, bytearray: a
 * Uint8Array, a view of the input. list and tuple: an array. dict: a Map. set, frozenset: a Set. Containers may hold themselves, and may be nested as
 * deep as the pickle is long: do not walk them by recursion.
 *
 * @returns the value, and where the pickle ends, in bytes: a file may hold several.
 * @throws HyperArcError E_FORMAT with the place: a global that is not in `options.globals`, a pickle that is damaged, cut short, or asks for more
 *   work than its length accounts for; what the globals throw.
 */
export function unpickle(bytes: Uint8Array, options: UnpickleOptions = {}): { value: unknown; end: number } {
  return new Machine(bytes, options).run();
}

class Machine implements Place {
  private readonly reader: ByteReader;
  private readonly stack: Stack;
  private readonly memo = new Map<number, unknown>();
  private readonly budget: Budget;
  private readonly globals: GlobalCalls;
  private readonly bytesOfStr: boolean;
  opAt = 0;

  constructor(
    private readonly bytes: Uint8Array,
    options: UnpickleOptions,
  ) {
    const { name = 'pickle', offset = 0, encoding = 'latin1' } = options;
    this.reader = new ByteReader(bytes, name, offset);
    this.stack = new Stack(this.reader);
    this.bytesOfStr = encoding === 'bytes';
    this.budget = new Budget(bytes.length - offset, () =>
      this.fail('a pickle of data', 'one that unfolds to far more than its length'),
    );
    this.globals = new GlobalCalls(options, this.budget, this);
  }

  run(): { value: unknown; end: number } {
    for (;;) {
      this.opAt = this.reader.at;
      const op = this.reader.byte();
      if (op === OP.STOP) return { value: this.stack.pop(), end: this.reader.at };
      if (!(this.scalar(op) || this.container(op) || this.memory(op) || this.object(op))) {
        this.fail('a pickle opcode', `byte 0x${op.toString(16).padStart(2, '0')}; the file is no pickle, or damaged`);
      }
    }
  }

  get name(): string {
    return this.reader.name;
  }

  fail(expected: string, received: string): never {
    this.reader.fail(expected, received, this.opAt);
  }

  /** Opcodes that push None, a bool, a number, text or bytes. */
  private scalar(op: number): boolean {
    const { reader, stack } = this;
    switch (op) {
      case OP.NONE:
        stack.push(null);
        return true;
      case OP.NEWTRUE:
      case OP.NEWFALSE:
        stack.push(op === OP.NEWTRUE);
        return true;
      case OP.INT: {
        const text = reader.line();
        // Protocols 0 and 1 write True and False so.
        stack.push(text === '01' ? true : text === '00' ? false : decimalInteger(reader, text));
        return true;
      }
      case OP.LONG:
        stack.push(decimalInteger(reader, reader.line()));
        return true;
      case OP.BININT:
        stack.push(reader.int32());
        return true;
      case OP.BININT1:
        stack.push(reader.byte());
        return true;
      case OP.BININT2:
        stack.push(reader.uint16());
        return true;
      case OP.LONG1:
        stack.push(binaryInteger(reader, reader.byte()));
        return true;
      case OP.LONG4:
        stack.push(binaryInteger(reader, reader.int32()));
        return true;
      case OP.FLOAT:
        stack.push(decimalFloat(reader, reader.line()));
        return true;
      case OP.BINFLOAT:
        stack.push(reader.float64());
        return true;
      case OP.STRING: {
        const text = quotedString(reader, reader.line());
        stack.push(this.bytesOfStr ? new Uint8Array(Buffer.from(text, 'latin1')) : text);
        return true;
      }
      case OP.BINSTRING: {
        const length = reader.int32();
        if (length < 0) this.fail('a length', `${length}`);
        this.pushStr(reader.take(length));
        return true;
      }
      case OP.SHORT_BINSTRING:
        this.pushStr(reader.take(reader.byte()));
        return true;
      case OP.UNICODE:
        stack.push(rawUnicode(reader, reader.line()));
        return true;
      case OP.SHORT_BINUNICODE:
        stack.push(reader.decodeUtf8(reader.take(reader.byte())));
        return true;
      case OP.BINUNICODE:
        stack.push(reader.decodeUtf8(reader.take(reader.uint32())));
        return true;
      case OP.BINUNICODE8:
        stack.push(reader.decodeUtf8(reader.take(reader.length64())));
        return true;
      case OP.SHORT_BINBYTES:
        stack.push(reader.take(reader.byte()));
        return true;
      case OP.BINBYTES:
        stack.push(reader.take(reader.uint32()));
        return true;
      case OP.BINBYTES8:
      case OP.BYTEARRAY8:
        stack.push(reader.take(reader.length64()));
        return true;
      default:
        return false;
    }
  }

  /** `str` of Python 2. */
  private pushStr(bytes: Uint8Array): void {
    this.stack.push(this.bytesOfStr ? bytes : this.reader.latin1(bytes));
  }

  /** Opcodes of lists, tuples, dicts and sets. */
  private container(op: number): boolean {
    const { stack } = this;
    switch (op) {
      case OP.EMPTY_LIST:
      case OP.EMPTY_TUPLE:
        stack.push([]);
        return true;
      case OP.LIST:
      case OP.TUPLE:
        stack.push(stack.popMark());
        return true;
      case OP.TUPLE1:
      case OP.TUPLE2:
      case OP.TUPLE3:
        stack.push(stack.popTuple(op - OP.TUPLE1 + 1));
        return true;
      case OP.APPEND: {
        const value = stack.pop();
        this.list().push(value);
        return true;
      }
      case OP.APPENDS: {
        const values = stack.popMark();
        const list = this.list();
        for (const value of values) list.push(value);
        return true;
      }
      case OP.EMPTY_DICT:
        stack.push(this.collection(new Map()));
        return true;
      case OP.DICT: {
        const items = stack.popMark();
        this.setItems(this.collection(new Map()), items, true);
        return true;
      }
      case OP.SETITEM: {
        const [key, value] = stack.popTuple(2);
        this.setItems(this.dict(), [key, value]);
        return true;
      }
      case OP.SETITEMS: {
        const items = stack.popMark();
        this.setItems(this.dict(), items);
        return true;
      }
      case OP.EMPTY_SET:
        stack.push(this.collection(new Set()));
        return true;
      case OP.ADDITEMS: {
        const items = stack.popMark();
        const set = stack.top();
        if (!(set instanceof Set)) this.fail('a set to add to', kindOf(set));
        for (const item of items) set.add(item);
        return true;
      }
      case OP.FROZENSET:
        stack.push(this.collection(new Set(stack.popMark())));
        return true;
      default:
        return false;
    }
  }

  private collection<T>(empty: T): T {
    this.budget.take(COLLECTION_UNITS);
    return empty;
  }

  private list(): unknown[] {
    const list = this.stack.top();
    return Array.isArray(list) ? list : this.fail('a list to append to', kindOf(list));
  }

  private dict(): Map<unknown, unknown> {
    const dict = this.stack.top();
    return dict instanceof Map ? dict : this.fail('a dict to fill', kindOf(dict));
  }

  private setItems(dict: Map<unknown, unknown>, items: readonly unknown[], isNew = false): void {
    if (items.length % 2 !== 0) this.fail('keys and values', `${items.length} items`);
    for (let i = 0; i < items.length; i += 2) dict.set(items[i], items[i + 1]);
    if (isNew) this.stack.push(dict);
  }

  /** Opcodes of the stack and the memo, and those that only structure the file. */
  private memory(op: number): boolean {
    const { reader, stack } = this;
    switch (op) {
      case OP.PROTO: {
        const protocol = reader.byte();
        if (protocol > HIGHEST_PROTOCOL) this.fail(`a protocol up to ${HIGHEST_PROTOCOL}`, `${protocol}`);
        return true;
      }
      case OP.FRAME: {
        const length = reader.length64();
        if (length > reader.left)
          this.fail(`a frame of ${length} bytes`, `${reader.left} up to the end; it is cut short`);
        return true;
      }
      case OP.MARK:
        stack.mark();
        return true;
      case OP.POP:
        stack.popAny();
        return true;
      case OP.POP_MARK:
        stack.popMark();
        return true;
      case OP.DUP:
        stack.push(stack.top());
        return true;
      case OP.PUT:
        this.put(this.index(reader.line()));
        return true;
      case OP.BINPUT:
        this.put(reader.byte());
        return true;
      case OP.LONG_BINPUT:
        this.put(reader.uint32());
        return true;
      case OP.MEMOIZE:
        this.put(this.memo.size);
        return true;
      case OP.GET:
        this.get(this.index(reader.line()));
        return true;
      case OP.BINGET:
        this.get(reader.byte());
        return true;
      case OP.LONG_BINGET:
        this.get(reader.uint32());
        return true;
      default:
        return false;
    }
  }

  private index(text: string): number {
    return /^\d{1,10}$/.test(text) ? Number(text) : this.fail('an index of the memo', quote(text));
  }

  /** Writers count up from 0 or 1. Indices chosen far apart could be chosen to collide in a hash table. */
  private put(index: number): void {
    if (index > this.bytes.length) this.fail('an index of the memo below the length', `${index}`);
    this.memo.set(index, this.stack.top());
  }

  private get(index: number): void {
    if (!this.memo.has(index)) this.fail(`what was put at ${index} of the memo`, 'nothing');
    this.stack.push(this.memo.get(index));
  }

  /** Opcodes that name globals, call them and give objects state. */
  private object(op: number): boolean {
    const { reader, stack } = this;
    switch (op) {
      case OP.GLOBAL: {
        const module = reader.line();
        stack.push(this.globals.find(module, reader.line()));
        return true;
      }
      case OP.STACK_GLOBAL: {
        const [module, name] = stack.popTuple(2);
        if (typeof module !== 'string') this.fail('the name of a module', kindOf(module));
        if (typeof name !== 'string') this.fail('the name of a global', kindOf(name));
        stack.push(this.globals.find(module, name));
        return true;
      }
      case OP.REDUCE:
      case OP.NEWOBJ: {
        const [callee, args] = stack.popTuple(2);
        stack.push(this.globals.call(callee, args));
        return true;
      }
      case OP.NEWOBJ_EX: {
        const [callee, args, kwargs] = stack.popTuple(3);
        if (!(kwargs instanceof Map)) this.fail('arguments by name', kindOf(kwargs));
        stack.push(this.globals.call(callee, args, kwargs));
        return true;
      }
      case OP.INST: {
        const module = reader.line();
        const callee = this.globals.find(module, reader.line());
        stack.push(this.globals.call(callee, stack.popMark()));
        return true;
      }
      case OP.OBJ: {
        const [callee, ...args] = stack.popMark();
        stack.push(this.globals.call(callee, args));
        return true;
      }
      case OP.BUILD: {
        const state = stack.pop();
        this.globals.setState(stack.top(), state);
        return true;
      }
      case OP.PERSID:
        stack.push(this.globals.persistent(reader.line()));
        return true;
      case OP.BINPERSID:
        stack.push(this.globals.persistent(stack.pop()));
        return true;
      case OP.EXT1:
      case OP.EXT2:
      case OP.EXT4:
        return this.fail('globals by name', 'one by number, of a registry that only its writer has');
      case OP.NEXT_BUFFER:
      case OP.READONLY_BUFFER:
        return this.fail('buffers within the pickle', 'one outside of it');
      default:
        return false;
    }
  }
}
