import { InvalidArgumentError } from 'commander';
import { expect, it } from 'vitest';

import { decimal, numberFrom, rate, wholeNumber } from '../../dist/cli/options.js';

it.each([
  [0, '0', 0],
  [0, '007', 7],
  [1, '1', 1],
  [4, '6000', 6000],
  [0, '4294967295', 4294967295],
  [0, '9007199254740991', Number.MAX_SAFE_INTEGER],
])('wholeNumber(%i) reads %s', (min, text, value) => {
  expect(wholeNumber(min)(text)).toBe(value);
});

it.each([
  [0, ''],
  [0, '-1'],
  [0, '1.5'],
  [0, '1e3'],
  [0, ' 1'],
  [1, '0'],
  [4, '3'],
  [0, '9007199254740992'],
  [0, '99999999999999999'],
])('wholeNumber(%i) refuses "%s"', (min, text) => {
  expect(() => wholeNumber(min)(text)).toThrow(new InvalidArgumentError(`Expected a whole number of at least ${min}.`));
});

it('decimal reads plain digits', () => {
  expect(['0', '.5', '0.25', '30'].map(decimal)).toEqual([0, 0.5, 0.25, 30]);
  for (const text of ['', '-1', '1.', '1e3', 'x', '0x10', 'NaN']) {
    expect(() => decimal(text)).toThrow(new InvalidArgumentError('Expected a number of at least 0.'));
  }
});

it('numberFrom takes both its ends and nothing beyond them', () => {
  expect(['-1', '1', '0.25', '1e-3'].map(numberFrom(-1, 1))).toEqual([-1, 1, 0.25, 1e-3]);
  for (const text of ['', ' ', '-1.01', '2', 'x', 'NaN', 'Infinity']) {
    expect(() => numberFrom(-1, 1)(text)).toThrow(new InvalidArgumentError('Expected a number from -1 to 1.'));
  }
});

it('rate is above 0 and at most 1', () => {
  expect(['1e-6', '.5', '1'].map(rate)).toEqual([1e-6, 0.5, 1]);
  for (const text of ['', '0', '-0.1', '1.01', 'x', 'NaN']) {
    expect(() => rate(text)).toThrow(new InvalidArgumentError('Expected a number in (0, 1].'));
  }
});
