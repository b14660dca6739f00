import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, expect, it, vi } from 'vitest';

import { main } from '../../dist/cli/main.js';
import { makeFolder } from '../../dist/files.js';
import { checkNewOutput, checkReportOutput } from '../../dist/outputs.js';
import { imageFolder } from '../data/fixtures.js';

const HYPERARC = fileURLToPath(new URL('../../bin/hyperarc.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'hyperarc-outputs-'));
const at = (name: string): string => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  for (const name of readdirSync(folder)) rmSync(at(name), { recursive: true });
});

/** Exit code and what was printed. */
async function hyperarc(...args: string[]): Promise<{ code: number; text: string }> {
  let text = '';
  const print = (more: unknown): boolean => ((text += String(more)), true);
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation(print),
    vi.spyOn(process.stderr, 'write').mockImplementation(print),
    vi.spyOn(console, 'log').mockImplementation(print),
    vi.spyOn(console, 'warn').mockImplementation(print),
  ];
  try {
    return { code: await main(args), text };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

/** Nothing that they read is there: what they write must be looked at first. */
const NEW: Record<string, (out: string) => string[]> = {
  'embed.npy': (out) => ['embed', 'nowhere', 'nowhere', out],
  'model.onnx': (out) => ['export', 'nowhere', out],
  model: (out) => ['import', 'nowhere.pt', out, '--backbone', 'iresnet18'],
  converted: (out) => ['data', 'convert', 'nowhere', out],
  aligned: (out) => ['data', 'align', 'nowhere.csv', out],
  detected: (out) => ['data', 'align', 'nowhere', out, '--detector', 'nowhere.onnx'],
  'found.jsonl': (out) => ['data', 'align', 'a', at('b'), '--detector', 'c.onnx', '--save-landmarks', out],
  'pairs.txt': (out) => ['data', 'pairs', 'nowhere', '--output', out],
  'set.bin': (out) => ['data', 'bin', 'nowhere', '--pairs', 'nowhere.txt', '--output', out],
  'sheet.png': (out) => ['data', 'preview', 'nowhere', '--augment', 'robust', '--output', out],
  'faces.png': (out) => ['synth', '--output', at('faces'), '--contact-sheet', out],
};

it.each(Object.entries(NEW))('%s: what is made anew is never written over anything', async (name, command) => {
  writeFileSync(at(name), 'kept');
  const { code, text } = await hyperarc(...command(at(name)));
  expect(text).toMatch(
    /^hyperarc: E_RANGE: [a-zA-Z -]+: expected a \w+ that is not there yet, received .*; name another or remove it\n$/,
  );
  expect(text).toContain(at(name));
  expect(code).toBe(1);
  expect(readdirSync(folder)).toEqual([name]);
  expect(readFileSync(at(name), 'utf8')).toBe('kept');
});

const REPORTS: Record<string, (out: string) => string[]> = {
  evaluation: (out) => ['evaluate', 'nowhere', '--output', out],
  'IJB evaluation': (out) => ['evaluate-ijb', 'nowhere', '--data', 'nowhere', '--output', out],
  'MegaFace evaluation': (out) => ['evaluate-megaface', 'nowhere', '--data', 'nowhere', '--output', out],
  'robustness evaluation': (out) => ['robustness', 'nowhere', '--output', out],
  'fairness evaluation': (out) => ['fairness', 'nowhere', '--groups', 'nowhere.csv', '--output', out],
  report: (out) => ['report', 'nowhere', '--output', out],
  comparison: (out) => ['compare', 'nowhere', 'nowhere', '--output', out],
  'heads plot': (out) => ['heads', 'plot', 'nothing', '--output', out],
};

it.each(Object.entries(REPORTS))('a file that is no %s is not replaced by one', async (kind, command) => {
  writeFileSync(at('notes.svg'), '{"format": "notes"}');
  const { code, text } = await hyperarc(...command(at('notes.svg')));
  expect(text).toBe(
    `hyperarc: E_RANGE: --output: expected a name that is not there yet, or an older ${kind} to replace, received ${at('notes.svg')}, which is something else; name another or remove it\n`,
  );
  expect(code).toBe(1);
  expect(readFileSync(at('notes.svg'), 'utf8')).toBe('{"format": "notes"}');
});

it('a report is written again over its own kind, and over no other', async () => {
  for (const name of ['a/heads.svg', 'a/heads.svg']) {
    expect(await hyperarc('heads', 'plot', 'arcface', '-o', at(name))).toEqual({
      code: 0,
      text: `${at(name)} written\n`,
    });
  }
  writeFileSync(at('fairness.json'), '{\n "format": "hyperarc-fairness-1",\n');
  checkReportOutput('x', at('fairness.json'), 'fairness evaluation');
  expect(() => checkReportOutput('x', at('fairness.json'), 'evaluation')).toThrow(/E_RANGE: x: .* older evaluation/);
  mkdirSync(at('report.html'));
  expect(() => checkReportOutput('x', at('report.html'), 'report')).toThrow(/E_RANGE: x: .* older report/);
  checkReportOutput('x', at('new/report.html'), 'report');
  expect(readdirSync(folder).sort()).toEqual(['a', 'fairness.json', 'report.html']);
});

it('looks where it will write, and leaves nothing there', () => {
  checkNewOutput('x', at('deep/er/file'));
  writeFileSync(at('file'), '');
  expect(() => checkNewOutput('x', at('file/deep/er'))).toThrow(
    `E_RANGE: x: expected a place that can be written to, received ${at('file/deep/er')} (ENOTDIR in ${at('file')}); name another`,
  );
  expect(readdirSync(folder)).toEqual(['file']);
});

it('makes the folders that lead to a file', async () => {
  makeFolder(at('one/two'));
  makeFolder(at('one/two/three'));
  expect(existsSync(at('one/two/three'))).toBe(true);
  writeFileSync(at('file'), '');
  expect(() => makeFolder(at('file/four'))).toThrow(/ENOTDIR/);
  const list = at('lists/of/pairs.txt');
  expect(await hyperarc('data', 'pairs', await imageFolder(6, 4), '-o', list, '--pairs', '24', '--folds', '3')).toEqual(
    {
      code: 0,
      text: `${list}: 24 pairs in 3 folds`,
    },
  );
});

// In a process of its own: what never returns would hold up the tests.
it.skipIf(!existsSync('/proc/self'))('does not hang below /proc', () => {
  const made = ['--out', '/proc/none/faces', '--identities', '1', '--samples', '1', '--size', '16'];
  const { status, stderr } = spawnSync(process.execPath, [HYPERARC, 'synth', ...made], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  expect(stderr).toMatch(
    /^hyperarc: E_RANGE: out: expected a place that can be written to, received \/proc\/none\/faces/,
  );
  expect(status).toBe(1);
  const files = new URL('../../dist/files.js', import.meta.url).href;
  const program = `import { makeFolder } from '${files}'; try { makeFolder('/proc/none/a/b') } catch (error) { console.log(error.code) }`;
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  expect(child.stdout).toMatch(/^E[A-Z]+\n$/);
});
