import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { expect, it } from 'vitest';

import { HYPERARC } from '../train/interruptedRun.js';

it.each([[['heads', 'explain', 'arcface']], [['--help']]])(
  '%j ends quietly where its reader has gone',
  async (args) => {
    const child = spawn(process.execPath, [HYPERARC, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    let complaints = '';
    child.stderr.on('data', (data: Buffer) => (complaints += String(data)));
    const [code] = (await once(child, 'close')) as [number];
    expect([code, complaints]).toEqual([141, '']);
  },
);
