import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { expect, it, vi } from 'vitest';

import { createProgram, main } from '../../dist/cli/main.js';
import { imageFolder, temporaryFolder } from '../data/fixtures.js';

const commands = (of: Command): Command[] => [of, ...of.commands.flatMap(commands)];
const outputs = commands(createProgram()).flatMap((command) =>
  command.options.filter(({ long }) => /^--out/.test(long!)).map((option) => ({ command: command.name(), option })),
);
const shown = outputs.filter(({ option }) => !option.hidden);
const hidden = outputs.filter(({ option }) => option.hidden);

it('is -o, --output in the help of every command', () => {
  expect(new Set(shown.map(({ option }) => `${option.short} ${option.long}`))).toEqual(new Set(['-o --output']));
  expect(shown.length).toBeGreaterThan(10);
});

it('is --out too, where it was', async () => {
  expect(hidden.map(({ command, option }) => `${command} ${option.long}`).sort()).toEqual([
    'bin --out',
    'pairs --out',
    'preview --out',
    'synth --out',
  ]);
  for (const { command } of hidden) expect(shown.map((one) => one.command)).toContain(command);

  vi.spyOn(console, 'log').mockImplementation(() => {});
  const errors = vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
  const draw = ['data', 'pairs', await imageFolder(6, 4), '--pairs', '24', '--folds', '3'];
  const folder = temporaryFolder();
  for (const flag of ['-o', '--output', '--out']) {
    const file = join(folder, flag);
    expect(await main([...draw, flag, file])).toBe(0);
    expect(existsSync(file)).toBe(true);
  }
  expect(await main(draw)).toBe(2);
  expect(errors.mock.calls.flat().join('')).toBe("error: required option '-o, --output <file>' not specified\n");
  vi.restoreAllMocks();
});
