import type { HyperArcErrorCode, NativePlan } from './binding.js';

/** What an error carries besides its message. */
export interface HyperArcErrorOptions extends ErrorOptions {
  /** With E_MEMORY: the bytes that were asked for, by part. */
  readonly plan?: NativePlan | undefined;
}

/**
 * Every error that HyperArc raises on purpose. `code` is a stable string (docs/architecture.md, "Errors"); the message reads
 * `argument: expected …, received …; fix`.
 */
export class HyperArcError extends Error {
  override readonly name = 'HyperArcError';
  readonly plan?: NativePlan;

  constructor(
    readonly code: HyperArcErrorCode,
    message: string,
    options?: HyperArcErrorOptions,
  ) {
    super(`${code}: ${message}`, options);
    if (options?.plan) this.plan = options.plan;
  }
}

/** The addon throws plain Errors with a `code`; this is the same error as the package's users know it. */
export function fromNative(error: unknown): unknown {
  if (error instanceof HyperArcError || !(error instanceof Error)) return error;
  const { code } = error as { code?: unknown };
  if (typeof code !== 'string' || !code.startsWith('E_')) return error;
  return new HyperArcError(code as HyperArcErrorCode, error.message, { cause: error });
}

/** {@link fromNative}; an E_MEMORY carries what `plan` answers, where it does. */
export function fromNativeWithPlan(error: unknown, plan: () => NativePlan): unknown {
  const known = fromNative(error);
  if (!(known instanceof HyperArcError) || known.code !== 'E_MEMORY') return known;
  try {
    const message = known.message.replace(/^E_MEMORY: /, '');
    return new HyperArcError('E_MEMORY', message, { cause: known.cause ?? error, plan: plan() });
  } catch {
    return known;
  }
}

/** `plan` with a result in host memory beside it, which does not fit. */
export function withResult(plan: NativePlan, name: string, bytes: number): NativePlan {
  const parts = [...plan.parts, { name, bytes, persistent: false }];
  return { ...plan, parts, peakBytes: plan.peakBytes + bytes, fits: false };
}

function explain(error: unknown, plan: (() => NativePlan) | undefined): unknown {
  return plan ? fromNativeWithPlan(error, plan) : fromNative(error);
}

/** Calls the addon; its errors come out as {@link HyperArcError}, E_MEMORY with `plan` if there is one. */
export function callNative<T>(call: () => T, plan?: () => NativePlan): T {
  try {
    return call();
  } catch (error) {
    throw explain(error, plan);
  }
}

/** The same for a call that answers with a promise. The call itself is made at once, so calls keep their order. */
export async function callNativeAsync<T>(call: () => Promise<T>, plan?: () => NativePlan): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw explain(error, plan);
  }
}
