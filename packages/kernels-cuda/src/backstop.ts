/** Anything native that can be let go of. */
interface Disposable {
  readonly state: string;
  dispose(): void;
}

let warned = false;

const registry = new FinalizationRegistry<{ native: Disposable; what: string }>(({ native, what }) => {
  if (native.state === 'disposed') return;
  native.dispose();
  if (!warned && process.env['HYPERARC_DEBUG']) {
    warned = true;
    process.emitWarning(`a ${what} was collected without dispose(); its memory was held until now`, 'HyperArcWarning');
  }
});

/**
 * Frees `native` when `owner` is collected without dispose(). Only a backstop: the collector may come late or never. With
 * HYPERARC_DEBUG set, the first such case of the process is a warning.
 */
export function backstop(owner: object, native: Disposable, what: string): void {
  registry.register(owner, { native, what });
}
