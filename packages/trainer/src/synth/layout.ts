import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { SynthControls } from './controls.js';

/** Rises whenever the same parameters give other pictures. */
export const SYNTH_VERSION = 1;

/** What a synthetic dataset is made from. */
export interface SynthParameters {
  readonly identities: number;
  /** Pictures of each identity. */
  readonly samples: number;
  readonly seed: number;
  /** Side of a picture in pixels. */
  readonly size: number;
  /** What is prescribed of poses, ages, groups and masks; nothing by default. */
  readonly controls?: SynthControls;
}

export const identityFolder = (identity: number): string => `id_${String(identity).padStart(5, '0')}`;
export const sampleFile = (sample: number): string => `${String(sample).padStart(4, '0')}.jpg`;

/** @throws HyperArcError E_RANGE */
export function checkSynthParameters(parameters: SynthParameters): void {
  const bounds: Record<keyof Omit<SynthParameters, 'controls'>, [low: number, high: number]> = {
    identities: [1, 10_000_000],
    samples: [1, 10_000],
    seed: [0, Number.MAX_SAFE_INTEGER],
    size: [16, 1024],
  };
  for (const [name, [low, high]] of Object.entries(bounds)) {
    const value = parameters[name as keyof typeof bounds];
    if (!Number.isInteger(value) || value < low || value > high) {
      throw new HyperArcError(
        'E_RANGE',
        `${name}: expected a whole number from ${low} to ${high}, received ${value}; change --${name}`,
      );
    }
  }
}
