import type { HyperArcErrorCode } from './binding.js';

/**
 * Every error that HyperArc raises on purpose. `code` is a stable string (docs/architecture.md, "Errors"); the message reads
 * `argument: expected …, received …; fix`.
 */
export class HyperArcError extends Error {
  override readonly name = 'HyperArcError';

  constructor(
    readonly code: HyperArcErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(`${code}: ${message}`, options);
  }
}
