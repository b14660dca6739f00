import type { MarginRule } from '@hyperarc/kernels-cuda/margin';
import type { MarginSpec } from './spec.js';

const said = new Set<string>();

/** Writes a warning to the console, the same one once in the life of the process. */
export function warnOnce(message: string): void {
  if (said.has(message)) return;
  said.add(message);
  console.warn(message);
}

/**
 * Says once that `caller` takes the rule of a margin as it stands, where that is one that adapts: AdaFace without its statistics is
 * CosFace.
 */
export function warnOfAdaptations(
  caller: string,
  rule: MarginRule & Partial<Pick<MarginSpec, 'name' | 'adaptive'>>,
): void {
  if (!rule.adaptive || rule.adaptive.length === 0) return;
  const kinds = rule.adaptive.map(({ kind }) => kind).join(', ');
  const fix = 'MarginHead, PartialFC and MarginAdapter carry that out';
  warnOnce(`${caller}: '${rule.name}' adapts (${kinds}), and is taken here as it stands; ${fix}`);
}
