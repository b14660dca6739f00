import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { arcFace, explain, marginFamilyNames, presets, withInterClassFilter } from '@hyperarc/heads';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';

import { formatExplanation } from '../../dist/cli/commands/heads.js';
import { marginOfWord } from '../../dist/cli/headNames.js';
import { main } from '../../dist/cli/main.js';

const folder = mkdtempSync(join(tmpdir(), 'hyperarc-heads-'));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

/** Exit code and what the command printed on both streams. */
async function hyperarc(...args: string[]): Promise<{ code: number; output: string }> {
  let output = '';
  const collect = (chunk: string | Uint8Array): boolean => ((output += String(chunk)), true);
  vi.spyOn(process.stdout, 'write').mockImplementation(collect);
  vi.spyOn(process.stderr, 'write').mockImplementation(collect);
  const code = await main(args);
  vi.restoreAllMocks();
  return { code, output };
}

describe('the name of a head', () => {
  it('is a preset, or a family with options', () => {
    expect(marginOfWord('arcfaceTorch')).toBe(presets.arcfaceTorch);
    expect(marginOfWord('arcface')).toEqual(presets.insightfaceMxnet);
    expect(marginOfWord('cosface:margin=0.4,gradient=straight-through')).toMatchObject({
      m3: 0.4,
      gradient: 'straight-through',
    });
    expect(marginOfWord('sphereface:annealing=false,scale=30').adaptive).toBeUndefined();
    expect(marginOfWord('arcface:margin=0.4,interClassFilter=0.3')).toEqual(
      withInterClassFilter(arcFace({ margin: 0.4 }), { threshold: 0.3 }),
    );
  });

  it.each([
    ['arcfase', /head: expected a preset or a family of margins, received 'arcfase'; did you mean 'arcface'\?/],
    ['nothing-like-it', /received 'nothing-like-it'; see hyperarc heads list/],
    ['arcface:margin', /arcface:margin: expected options as name=value, received 'margin'/],
    ['arcface:marg=1', /arcFace\.marg: expected one of the options margin/],
    ['adacos', /adaCos\.classes: expected an integer/],
    ['toString', /received 'toString'/],
    ['arcface:interClassFilter=2', /withInterClassFilter\.threshold: expected a number in \[0, 1\], received 2/],
    ['mv-softmax:interClassFilter=0.4', /one rule for negatives at a time/],
  ])('%s is refused', (word, message) => {
    expect(() => marginOfWord(word)).toThrow(message);
  });
});

describe('hyperarc heads', () => {
  it('lists every preset and family', async () => {
    const { code, output } = await hyperarc('heads', 'list');
    expect(code).toBe(0);
    for (const name of [...Object.keys(presets), ...marginFamilyNames]) expect(output).toContain(name);
    expect(output).toMatch(/adaface +adaface: s=64 .*adapts: norm-quality/);
  });

  it('explains a head in a table', async () => {
    const { code, output } = await hyperarc('heads', 'explain', 'arcface:margin=0.5', '--points', '5');
    expect(code).toBe(0);
    expect(output).toBe(formatExplanation(explain(marginOfWord('arcface'), { points: 5, name: 'arcface:margin=0.5' })));
    const rows = output.trim().split('\n').slice(2);
    const row = rows[2].trim().split(/\s+/).map(Number);
    expect(row).toEqual([90, Number(Math.cos(Math.PI / 2 + 0.5).toFixed(4)), 0.8776, 118.6479]);
    expect(rows.at(-1)).toContain('—');
    expect(output).not.toContain('-0.0000');
  });

  it('plots several heads in one file', async () => {
    const path = join(folder, 'heads.svg');
    const { code, output } = await hyperarc('heads', 'plot', 'arcface', 'arcface:margin=0.3', '--output', path);
    expect(code).toBe(0);
    expect(output).toContain(`${path} written`);
    const svg = readFileSync(path, 'utf8');
    expect(svg).toMatch(/^<svg/);
    expect(svg).toContain('arcface:margin=0.3');
  });

  it('writes nothing where an argument is wrong', async () => {
    const path = join(folder, 'refused.svg');
    const { code, output } = await hyperarc('heads', 'plot', 'arcface:margin=9', '--output', path);
    expect(code).toBe(1);
    expect(output).toMatch(/arcFace\.margin: expected a number in .*, received 9/);
    expect(existsSync(path)).toBe(false);
    const png = await hyperarc('heads', 'plot', 'arcface', '--output', join(folder, 'heads.png'));
    expect(png.output).toMatch(/--output: expected a name that ends in \.svg/);
    const points = await hyperarc('heads', 'explain', 'arcface', '--points', 'many');
    expect(points.output).toMatch(/points: expected an integer/);
  });
});
