import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

import { expect, it } from 'vitest';

const SIGNALS = new URL('../../dist/train/signals.js', import.meta.url).href;

/** A process that says when it was asked to stop and when it has heard a SIGINT, and goes on. Its clock stands still but for 0.7 s at each SIGUSR2. */
function startStubborn() {
  const program = `
    import { StopRequest } from ${JSON.stringify(SIGNALS)};
    let now = 1000;
    performance.now = () => now;
    const stop = new StopRequest((signal) => console.log('asked by ' + signal));
    process.on('SIGINT', () => console.log('heard SIGINT'));
    process.on('SIGUSR2', () => {
      now += 700;
      console.log('still there after ' + stop.signal);
    });
    setTimeout(() => stop[Symbol.dispose](), 50_000);
    console.log('ready');`;
  return spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
}

it('takes a first signal, and its echo through npm, as a wish, and a second one as an order', async () => {
  const child = startStubborn();
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const says = async (): Promise<unknown> => (await lines.next()).value;
  expect(await says()).toBe('ready');
  child.kill('SIGINT');
  expect(await says()).toBe('asked by SIGINT');
  expect(await says()).toBe('heard SIGINT');
  child.kill('SIGINT');
  // Two signals that wait together may be handled in either order.
  expect(await says()).toBe('heard SIGINT');
  child.kill('SIGUSR2');
  expect(await says()).toBe('still there after SIGINT');
  child.kill('SIGTERM');
  expect((await exited)[0]).toBe(143);
});
