import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { stringify } from 'yaml';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { main } from '../../dist/cli/main.js';
import { writeSynthDataset } from '../../dist/synth/writeDataset.js';

const HYPERARC = fileURLToPath(new URL('../../bin/hyperarc.js', import.meta.url));
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-cli-'));
  await writeSynthDataset({ out: join(folder, 'faces'), identities: 6, samples: 3, seed: 1, size: 32 });
  writeFileSync(
    join(folder, 'tiny.yaml'),
    stringify({
      name: 'tiny',
      output: 'runs',
      data: { root: 'faces', imageSize: 16 },
      backbone: { name: 'iresnet10-w16', embeddingSize: 8 },
      training: { steps: 1_000_000, batchSize: 4, logEvery: 1 },
      checkpoint: { every: 0 },
    }),
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a command line in this process: a new one for each would only make the test slow. */
async function hyperarc(...args: string[]) {
  const capture = (stream: NodeJS.WriteStream, into: string[]) =>
    vi.spyOn(stream, 'write').mockImplementation((text) => into.push(String(text)) > 0);
  const [stdout, stderr]: [string[], string[]] = [[], []];
  const spies = [capture(process.stdout, stdout), capture(process.stderr, stderr)];
  try {
    const status = await main(args);
    return { status, stdout: stdout.join(''), stderr: stderr.join('') };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

describe('hyperarc', () => {
  const tiny = (): string => join(folder, 'tiny.yaml');

  it.each([
    ['an unknown command', () => ['trian'], 2, /unknown command 'trian'[^]*Did you mean train\?/],
    ['an unknown option', () => ['train', '--resum', 'x'], 2, /unknown option '--resum'[^]*Did you mean --resume\?/],
    [
      'no configuration',
      () => ['train'],
      1,
      /^hyperarc: E_RANGE: CONFIG: expected a YAML file, received none; or give --resume RUN\n$/,
    ],
    [
      'a missing file',
      () => ['train', 'none.yaml'],
      1,
      /^hyperarc: E_RANGE: .*none\.yaml \(ENOENT\); hyperarc recipes lists those that come with it\n$/,
    ],
    [
      'a misspelt key',
      () => ['train', tiny(), 'optimizer.learnRate=1'],
      1,
      /learnRate: no such key; did you mean optimizer\.learningRate\?\n$/,
    ],
    [
      'missing data',
      () => ['train', tiny(), 'data.root=nowhere', '--dry-run'],
      1,
      /^hyperarc: E_FORMAT: dataset: .*nowhere/,
    ],
    [
      'a folder that is no run',
      () => ['train', '--resume', folder],
      1,
      /^hyperarc: E_FORMAT: run: expected a run folder with a config\.yaml, received .*\n$/,
    ],
  ])('answers %s with what is wrong', async (_, args, status, message) => {
    const result = await hyperarc(...args());
    expect(result.stderr).toMatch(message);
    expect(result.status).toBe(status);
    expect(readdirSync(folder)).not.toContain('runs');
  });

  it.each([
    ['no images', 'data.root=nowhere', /^hyperarc: E_FORMAT: dataset: .*nowhere/m],
    ['a batch larger than the dataset', 'training.batchSize=500', /^hyperarc: E_RANGE: batchSize: .*received 500/m],
    [
      'too few images to verify',
      'evaluate={every: 1, pairs: 4000}',
      /^hyperarc: E_RANGE: pairs: .*give more images, or ask for fewer folds/m,
    ],
  ])('leaves no run folder behind that %s kept from beginning', async (_, override, message) => {
    const output = join(folder, 'none');
    const fixed = [`output=${output}`, `data={root: ${join(folder, 'faces')}, heldOut: 2}`];
    const { status, stderr } = await hyperarc('train', tiny(), ...fixed, override);
    expect(status).toBe(1);
    expect(stderr).toMatch(message);
    expect(readdirSync(output)).toEqual([]);
    rmSync(output, { recursive: true });
  });

  it('lists the recipes, and takes one by its name', async () => {
    const list = await hyperarc('recipes');
    expect(list.status).toBe(0);
    expect(list.stdout).toMatch(/^arcface-torch-ms1mv3 +arcface_torch on MS1MV3 .*\n/m);
    expect(list.stdout).toMatch(/hyperarc train NAME data\.root=FACES/);
    const faces = `data.root=${join(folder, 'faces')}`;
    const dry = await hyperarc('train', 'arcface-torch-ms1mv3', '--dry-run', faces, 'data.imageSize=16');
    expect(dry.status).toBe(0);
    expect(dry.stdout).toMatch(
      /^name: arcface-torch-ms1mv3\n[^]*gradient: straight-through\n[^]*6 identities, 18 images/,
    );
  });

  it('ends with a code of its own when its time is over, and keeps the number that auto stood for', async () => {
    const auto = join(folder, 'auto.yaml');
    writeFileSync(auto, `extends: tiny.yaml\nname: auto\nbackend: wasm\noutput: ${join(folder, 'auto')}\n`);
    const faces = `data.root=${join(folder, 'faces')}`;
    const first = await hyperarc('train', auto, faces, 'training={batchSize: auto, maxMemory: 16GiB, maxHours: 1e-9}');
    process.exitCode = undefined;
    expect(first.stdout).toMatch(/^batch size 2: /m);
    expect(first.stdout).toMatch(
      /^stopped at step 1 of 1000000: 1e-9 hours are over \(training\.maxHours\); checkpoint .*\ngo on with: hyperarc train --resume .*auto-001\n$/m,
    );
    expect(first.status).toBe(124);
    const run = join(folder, 'auto', 'auto-001');
    expect(readFileSync(join(run, 'config.yaml'), 'utf8')).toMatch(/batchSize: 2\n(?![^]*maxMemory)/);
    const again = await hyperarc('train', auto, faces, 'training={batchSize: auto, maxMinutes: 1e-9}', '--resume', run);
    process.exitCode = undefined;
    expect(again.stdout).toMatch(/stopped at step 2 of 1000000/);
    expect(again.status).toBe(124);
  });

  it('describes a run without starting it', async () => {
    const { status, stdout } = await hyperarc(
      'train',
      tiny(),
      'head.rate=0.5',
      'schedule.warmupSteps=2000000',
      '--dry-run',
      `data.root=${join(folder, 'faces')}`,
    );
    expect(status).toBe(0);
    expect(stdout).toMatch(/rate: 0\.5\n/);
    expect(stdout).toMatch(/6 identities, 18 images/);
    expect(stdout).toMatch(/iresnet10-w16: 0\.\d\d M parameters/);
    expect(stdout).toMatch(
      /\nwarning: schedule: the warm-up of 2000000 steps is not over when training ends at step 1000000;/,
    );
    expect(stdout).toMatch(/memory of the head, on .*\n +weights +192 B\n/);
    expect(stdout).toMatch(/activations of 4 images \(estimate\)/);
    expect(readdirSync(folder)).not.toContain('runs');
  });
});

describe('signals', () => {
  /** Starts training, and sends the signals one by one, each when the output has come to its pattern. */
  async function interrupt(signals: [RegExp, NodeJS.Signals][], ...args: string[]) {
    const child = spawn(process.execPath, [HYPERARC, 'train', ...args], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const waiting = [...signals];
    let output = '';
    let errors = '';
    child.stderr.on('data', (data: Buffer) => (errors += String(data)));
    child.stdout.on('data', (data: Buffer) => {
      output += String(data);
      if (waiting[0]?.[0].test(output)) child.kill(waiting.shift()![1]);
    });
    const [code] = (await once(child, 'close')) as [number | null];
    return { output, errors, code };
  }

  it('saves and stops at SIGINT, and goes on from there until SIGTERM', async () => {
    const first = await interrupt([[/^step \d/m, 'SIGINT']], 'tiny.yaml');
    expect(first.errors).not.toMatch(/hyperarc:/);
    expect(first.output).toMatch(
      /SIGINT: saving after this step[^]*saved .*step-0+(\d+)\n[^]*stopped at step \1 of 1000000/,
    );
    expect(first.output).toMatch(/^data: 18 images of 6 identities$/m);
    expect(first.output).toContain('go on with: hyperarc train --resume runs/tiny-001\n');
    expect(first.code).toBe(130);

    const other = ['optimizer.momentum=0.5', 'head.loss=cosface', 'data.workers=2'];
    const changed = await hyperarc(
      'train',
      join(folder, 'tiny.yaml'),
      '--resume',
      join(folder, 'runs/tiny-001'),
      ...other,
    );
    expect(changed.status).toBe(1);
    expect(changed.stderr).toMatch(
      /E_RANGE: --resume: expected the configuration of .*runs\/tiny-001\/config\.yaml[^]*head\.loss: was "arcface", now "cosface"\n +optimizer\.momentum: was 0\.9, now 0\.5\n$/,
    );

    const second = await interrupt([[/^step \d/m, 'SIGTERM']], '--resume', 'runs/tiny-001', 'data.workers=2');
    expect(second.output).toMatch(/going on from .*tiny-001.* at step \d+\n/);
    expect(second.output).toMatch(/SIGTERM: saving/);
    expect(second.code).toBe(143);
  });
});
