import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, it } from 'vitest';

import { CheckpointStore } from '../../dist/checkpoint/store.js';

const STORE = new URL('../../dist/checkpoint/store.js', import.meta.url).href;

it('keeps the old checkpoint when the process is killed in the middle of writing the next', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hyperarc-kill-'));
  try {
    const store = new CheckpointStore(folder);
    const write = (into: string) => Promise.resolve(writeFileSync(join(into, 'a'), 'one'));
    const first = await store.save(1, null, write);
    const program = `
      import { writeFileSync } from 'node:fs';
      import { CheckpointStore } from ${JSON.stringify(STORE)};
      await new CheckpointStore(${JSON.stringify(folder)}).save(2, null, (into) => {
        writeFileSync(into + '/a', 'half of');
        console.log('writing');
        return new Promise((resolve) => setTimeout(resolve, 60_000));
      });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(readdirSync(folder)).toHaveLength(2);
    expect(store.list()).toEqual([{ path: first, step: 1 }]);
    expect((await store.newest(false, () => {})).path).toBe(first);
    await store.save(2, null, write);
    expect(readdirSync(folder)).toEqual(['step-00000001', 'step-00000002']);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
