import { InvalidArgumentError, Option, type Command } from 'commander';

/** What RUN|MODEL of a command may be. */
export const TARGET = 'run folder, one of its checkpoints, or folder with a tfjs model.json';

/** Takes `--out` for `--output` as well, unseen in the help: the name it had in some commands. */
export function addOutAlias(command: Command): Command {
  return command
    .addOption(new Option('--out <path>').hideHelp())
    .on('option:out', (path: string) => command.setOptionValueWithSource('output', path, 'cli'));
}

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

/** Reads an option's number from `low` to `high`, both taken. */
export function numberFrom(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= low && value <= high)) {
      throw new InvalidArgumentError(`Expected a number from ${low} to ${high}.`);
    }
    return value;
  };
}

/** Reads an option's rate: above 0, at most 1. */
export function rate(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1)) throw new InvalidArgumentError('Expected a number in (0, 1].');
  return value;
}
