import type { BackendChoice } from '../backend/index.js';
import type { SizedModel } from '../evaluate/ijb/evaluateIjb.js';
import { openModel } from '../evaluate/openModel.js';
import { RunFolder } from '../train/runFolder.js';

/** What an evaluation's RUN|MODEL argument stands for. */
export interface OpenTarget {
  readonly source?: SizedModel;
  /** Where the run keeps its results. */
  readonly runPath?: string;
  close(): void;
}

/** @param needed false: the embeddings are there already, and a run is only where the result goes */
export async function openTarget(
  target: string | undefined,
  needed: boolean,
  backend: BackendChoice | undefined,
  log: (line: string) => void,
): Promise<OpenTarget> {
  if (target === undefined) return { close: () => undefined };
  if (!needed) return { runPath: RunFolder.open(target).path, close: () => undefined };
  const source = await openModel(target, backend, log);
  return { source, ...(source.run && { runPath: source.run.path }), close: () => source.model.dispose() };
}
