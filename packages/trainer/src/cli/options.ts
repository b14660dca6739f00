import { InvalidArgumentError } from 'commander';

/** Reads an option's whole number. @param min smallest value taken */
export function wholeNumber(min: number): (text: string) => number {
  return (text) => {
    if (!/^\d{1,9}$/.test(text) || Number(text) < min) {
      throw new InvalidArgumentError(`Expected a whole number of at least ${min}.`);
    }
    return Number(text);
  };
}
