import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';

import { expect, it } from 'vitest';

const SIGNALS = new URL('../../dist/train/signals.js', import.meta.url).href;

/** A process that says when it was asked to stop, and goes on for a minute all the same. */
function startStubborn() {
  const program = `
    import { StopRequest } from ${JSON.stringify(SIGNALS)};
    const stop = new StopRequest((signal) => console.log('asked by ' + signal));
    process.on('SIGUSR2', () => console.log('still there after ' + stop.signal));
    setTimeout(() => stop[Symbol.dispose](), 60_000);
    console.log('ready');`;
  return spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
}

it('takes a first signal, and its echo through npm, as a wish, and a second one as an order', async () => {
  const child = startStubborn();
  const says = async (): Promise<string> => String((await once(child.stdout, 'data'))[0]).trim();
  expect(await says()).toBe('ready');
  child.kill('SIGINT');
  expect(await says()).toBe('asked by SIGINT');
  child.kill('SIGINT');
  child.kill('SIGUSR2');
  expect(await says()).toBe('still there after SIGINT');
  await setTimeout(700);
  child.kill('SIGTERM');
  expect((await once(child, 'exit'))[0]).toBe(143);
});
