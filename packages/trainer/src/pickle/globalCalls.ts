import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { COLLECTION_UNITS, type Budget } from './budget.js';
import { kindOf, PickleReference, quote, type UnpickleOptions } from './types.js';

const NO_KWARGS: ReadonlyMap<unknown, unknown> = new Map();

/** Where in which pickle the machine stands: what errors name. */
export interface Place {
  readonly name: string;
  /** Of the opcode that is carried out. */
  readonly opAt: number;
  /** @throws HyperArcError E_FORMAT with the place. */
  fail(expected: string, received: string): never;
}

/** What a pickle may have of the caller's globals: find them, call them, and give state to what they made. */
export class GlobalCalls {
  /** Which global made an object: the one that takes its state. */
  private readonly makers = new WeakMap<object, PickleReference>();
  /** One reference a global: they compare equal. */
  private readonly references = new Map<string, PickleReference>();

  constructor(
    private readonly options: UnpickleOptions,
    private readonly budget: Budget,
    private readonly place: Place,
  ) {}

  find(module: string, name: string): PickleReference {
    const key = `${module} ${name}`;
    const known = this.references.get(key);
    if (known !== undefined) return known;
    const global = this.options.globals?.get(key);
    if (global === undefined) {
      const fix = 'it is not run; if it is data you trust, write it again with plain values';
      this.place.fail('a pickle of data', `a pickle that asks for code, ${quote(`${module}.${name}`)}; ${fix}`);
    }
    const reference = new PickleReference(key, global);
    this.references.set(key, reference);
    return reference;
  }

  call(callee: unknown, args: unknown, kwargs = NO_KWARGS): unknown {
    if (!(callee instanceof PickleReference)) this.place.fail('a global to call', kindOf(callee));
    const { call } = callee.global;
    if (call === undefined) this.place.fail('a global that may be called', kindOf(callee));
    if (!Array.isArray(args)) this.place.fail('a tuple of arguments', kindOf(args));
    this.budget.take(COLLECTION_UNITS);
    for (const arg of args) this.budget.takeFor(arg);
    this.budget.take(kwargs.size);
    const made = this.outside(() => call(args, kwargs));
    if (typeof made === 'object' && made !== null) this.makers.set(made, callee);
    return made;
  }

  setState(object: unknown, state: unknown): void {
    const maker = typeof object === 'object' && object !== null ? this.makers.get(object) : undefined;
    if (maker?.global.setState === undefined) {
      this.place.fail('an object that takes state', maker === undefined ? kindOf(object) : `one of ${kindOf(maker)}`);
    }
    this.budget.takeFor(state);
    const { setState } = maker.global;
    this.outside(() => setState(object as object, state));
  }

  persistent(id: unknown): unknown {
    const { persistentLoad } = this.options;
    if (persistentLoad === undefined)
      this.place.fail('all data within the pickle', 'a reference to some outside of it');
    this.budget.takeFor(id);
    return this.outside(() => persistentLoad(id));
  }

  /** Errors of the caller's own functions with the place, which they do not know. */
  private outside<T>(run: () => T): T {
    try {
      return run();
    } catch (error) {
      if (!(error instanceof HyperArcError)) throw error;
      const message = error.message.slice(`${error.code}: `.length);
      throw new HyperArcError(error.code, `${this.place.name}: byte ${this.place.opAt}: ${message}`, { cause: error });
    }
  }
}
