import { dirname } from 'node:path';
import type { Explanation } from '@hyperarc/heads';
import { HyperArcError } from '@hyperarc/kernels-cuda';
import type { Command } from 'commander';

import { makeFolder, writeAtomically } from '../../files.js';
import { checkReportOutput } from '../../outputs.js';

const HEAD = 'a preset, or a family with options: arcface, cosface:margin=0.4 (see hyperarc heads list)';

async function explainWords(words: readonly string[], points?: number): Promise<Explanation[]> {
  const { explain } = await import('@hyperarc/heads');
  const { marginOfWord } = await import('../headNames.js');
  return words.map((name) => explain(marginOfWord(name), { name, ...(points !== undefined && { points }) }));
}

async function runList(): Promise<void> {
  const { marginFamilyNames, presets } = await import('@hyperarc/heads');
  const width = Math.max(...Object.keys(presets).map((name) => name.length));
  const lines = Object.entries(presets).map(
    ([preset, { name, scale, m1, m2, m3, fallback, gradient, adaptive = [] }]) => {
      const moves = adaptive.map(({ kind }) => kind).join(', ');
      const numbers = `s=${scale} m1=${m1} m2=${Number(m2.toFixed(3))} m3=${m3} ${fallback} ${gradient}`;
      return `  ${preset.padEnd(width)}  ${name}: ${numbers}${moves === '' ? '' : `; adapts: ${moves}`}`;
    },
  );
  const families = `Families, which take options (arcface:margin=0.3,fallback=none):\n  ${marginFamilyNames.join(', ')}`;
  process.stdout.write(`Presets:\n${lines.join('\n')}\n\n${families}\n`);
}

// Adding 0 takes the sign off −0.
const cell = (value: number): string =>
  (Number.isNaN(value) ? '—' : (Number(value.toFixed(4)) + 0).toFixed(4)).padStart(10);

/** The table of `hyperarc heads explain`. */
export function formatExplanation({ name, angles, curves, boundaries }: Explanation): string {
  const degrees = (radians: number): number => (radians * 180) / Math.PI;
  const header = ['θ°', 'T/s', '−dT/dθ/s', 'boundary°'].map((title) => title.padStart(10)).join('');
  return curves
    .map(({ condition, logits, slopes }, c) => {
      const rows = Array.from(angles, (angle, p) =>
        [degrees(angle), logits[p]!, slopes[p]!, degrees(boundaries[c]![p]!)].map(cell).join(''),
      );
      return [condition === '' ? name : `${name}, ${condition}`, header, ...rows, ''].join('\n');
    })
    .join('\n');
}

async function runExplain(word: string, flags: { points: string }): Promise<void> {
  const points = Number(flags.points);
  const explanations = await explainWords([word], points);
  process.stdout.write(explanations.map(formatExplanation).join('\n'));
}

async function runPlot(words: string[], flags: { output: string }): Promise<void> {
  if (!flags.output.endsWith('.svg')) {
    throw new HyperArcError('E_RANGE', `--output: expected a name that ends in .svg, received '${flags.output}'`);
  }
  checkReportOutput('--output', flags.output, 'heads plot');
  const { plotHeads } = await import('@hyperarc/heads/plot');
  const svg = plotHeads(await explainWords(words));
  makeFolder(dirname(flags.output));
  writeAtomically(flags.output, svg);
  process.stdout.write(`${flags.output} written\n`);
}

/** `hyperarc heads`. */
export function registerHeadsCommand(program: Command): void {
  const heads = program.command('heads').description('list, explain and plot the margin heads');
  heads.command('list').description('print the presets with their numbers, and the families').action(runList);
  heads
    .command('explain')
    .description('print target logit, gradient and decision boundary over the angle')
    .argument('<head>', HEAD)
    .option('--points <count>', 'angles from 0° to 180°', '13')
    .action(runExplain);
  heads
    .command('plot')
    .description('draw target logit, gradient and decision boundary of one head or several, overlaid, as SVG')
    .argument('<head...>', HEAD)
    .option('-o, --output <file>', 'SVG file', 'heads.svg')
    .action(runPlot);
}
