import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const COMMANDS = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** Command of a Chromium that answers: HYPERARC_CHROMIUM, else one of the usual names; undefined for none. */
export function findChromium(): string | undefined {
  const named = process.env['HYPERARC_CHROMIUM'];
  const answers = (command: string) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
  if (named && !answers(named)) throw new Error(`HYPERARC_CHROMIUM: expected a Chromium, received ${named}`);
  return named || COMMANDS.find(answers);
}

/** A page in a browser of its own, without a window. */
export interface OpenPage {
  /** Rejects, with what the browser said last, when it ends before it is closed. */
  readonly ended: Promise<never>;
  /** What the browser has said last, console messages of the page included. */
  log(): string;
  close(): Promise<void>;
}

export function openPage(command: string, url: string): OpenPage {
  const profile = mkdtempSync(join(tmpdir(), 'hyperarc-chromium-'));
  const args = [
    '--headless=new',
    // Chromium refuses to run as root with its sandbox; the page is our own.
    '--no-sandbox',
    // Machines without a GPU: WebGL in software.
    '--enable-unsafe-swiftshader',
    '--disable-dev-shm-usage',
    '--no-first-run',
    // Nothing but the page: no updates, no look for a proxy.
    '--disable-background-networking',
    '--disable-component-update',
    '--no-proxy-server',
    '--enable-logging=stderr',
    `--user-data-dir=${profile}`,
    url,
  ];
  // Its own process group: the command may be a script around the browser, which has children in turn.
  const child = spawn(command, args, { detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log = (log + text).slice(-4000)));
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(`exit ${signal ?? code}`));
  });
  const ended = exited.then((how) =>
    Promise.reject(new Error(`${command} ended (${how}) before the page did:\n${log}`)),
  );
  ended.catch(() => {});
  return {
    ended,
    log: () => log,
    async close() {
      const isRunning = child.pid !== undefined && child.exitCode === null && child.signalCode === null;
      if (isRunning) process.kill(-child.pid!, 'SIGKILL');
      await exited;
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
