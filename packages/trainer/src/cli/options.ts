import { InvalidArgumentError } from 'commander';

/** What RUN|MODEL of a command may be. */
export const TARGET = 'run folder, one of its checkpoints, or folder with a tfjs model.json';

/** Reads an option's whole number. @param min smallest value taken */
export function wholeNumber(min: number): (text: string) => number {
  return (text) => {
    if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(Number(text)) || Number(text) < min) {
      throw new InvalidArgumentError(`Expected a whole number of at least ${min}.`);
    }
    return Number(text);
  };
}

/** Reads an option's number of at least 0, written in plain digits. */
export function decimal(text: string): number {
  if (!/^\d*\.?\d+$/.test(text)) throw new InvalidArgumentError('Expected a number of at least 0.');
  return Number(text);
}
