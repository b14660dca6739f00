/**
 * A run that is interrupted at seeded random points by SIGINT, SIGTERM and SIGKILL, in turn, ends in the bits of one that is not. Four
 * interruptions here; by hand, in some minutes: HYPERARC_INTERRUPTIONS=20 npx vitest run --root packages/trainer interruptions
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { KeyedRandom } from '../../dist/data/index.js';
import { RunFolder } from '../../dist/train/runFolder.js';
import { imageFolder } from '../data/fixtures.js';
import { bitsOf, HYPERARC, live, tinyConfig, trainHere, writeConfig } from './interruptedRun.js';

const INTERRUPTIONS = Number(process.env['HYPERARC_INTERRUPTIONS'] ?? 4);
const SEED = Number(process.env['HYPERARC_INTERRUPTIONS_SEED'] ?? 1);
const STEPS = 10 + 5 * INTERRUPTIONS;
const SIGNALS = ['SIGKILL', 'SIGINT', 'SIGTERM'] as const;

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-interruptions-'));
  await imageFolder(8, 4, 24, join(folder, 'faces'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it(
  'ends in the bits of an uninterrupted run',
  async () => {
    const whole = RunFolder.create(tinyConfig(folder, 'whole', STEPS));
    await trainHere(whole, tinyConfig(folder, 'whole', STEPS));

    const path = writeConfig(folder, tinyConfig(folder, 'torn', STEPS));
    const torn = join(folder, 'runs', 'torn-001');
    const told: string[] = [];
    let interrupted = 0;
    for (let i = 0; i < INTERRUPTIONS; i++) {
      const random = new KeyedRandom(SEED, i, 0);
      const signal = SIGNALS[i % SIGNALS.length]!;
      // After a first checkpoint there is something to go on from; later lives may end before their first step.
      const lines = i === 0 ? 1 : random.integer(4);
      const delayMs = random.integer(100);
      const at = i === 0 ? /^saved/gm : /^(?:run|step|saved)/gm;
      let sent = false;
      const args = i === 0 ? [path] : ['--resume', torn];
      const life = await live(process.execPath, [HYPERARC, 'train', ...args], (output, kill) => {
        if (sent || (output.match(at)?.length ?? 0) < lines) return;
        sent = true;
        setTimeout(() => kill(signal), delayMs);
      });
      told.push(
        `${signal} ${lines} lines ${delayMs} ms: ${/going on from \S+ at step \d+/.exec(life.output)?.[0] ?? ''}`,
      );
      // On a quick machine the last lives may come to the end of the run.
      const code = { SIGKILL: 'SIGKILL', SIGINT: 130, SIGTERM: 143 }[signal];
      expect([code, 0], life.output).toContain(life.code ?? life.signal);
      if (life.code !== 0) interrupted++;
    }
    expect(interrupted, told.join('\n')).toBeGreaterThanOrEqual(INTERRUPTIONS / 2);
    const last = RunFolder.open(torn);
    const { step, end } = await trainHere(last, tinyConfig(folder, 'torn', STEPS), true);
    expect({ step, end }).toEqual({ step: STEPS, end: 'finished' });
    expect(bitsOf(last), told.join('\n')).toEqual(bitsOf(whole));
  },
  300_000 + 60_000 * INTERRUPTIONS,
);
