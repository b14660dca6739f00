import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, it } from 'vitest';

const HYPERARC = fileURLToPath(new URL('../../bin/hyperarc.js', import.meta.url));

it('leaves nothing behind when it is interrupted, though npm passes the signal on a second time', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hyperarc-synth-'));
  try {
    const flags = ['--out', join(folder, 'faces'), '--identities', '5000', '--size', '32'];
    const child = spawn(process.execPath, [HYPERARC, 'synth', ...flags], { stdio: ['ignore', 'ignore', 'pipe'] });
    let errors = '';
    child.stderr.on('data', (data: Buffer) => (errors += String(data)));
    // The folder beside the target appears when the drawing begins, after the handlers are there.
    while (readdirSync(folder).length === 0 && child.exitCode === null)
      await new Promise((resume) => setTimeout(resume, 20));
    child.kill('SIGINT');
    child.kill('SIGINT');
    const [code] = (await once(child, 'close')) as [number | null];
    expect(errors).toMatch(/SIGINT: stopped drawing; nothing was kept\n$/);
    expect(code).toBe(130);
    expect(readdirSync(folder)).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
