import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { initBackend } from '../../dist/backend/index.js';
import { createBackbone } from '../../dist/backbones/index.js';
import { saveModelFolder } from '../../dist/checkpoint/modelFolder.js';
import { main } from '../../dist/cli/main.js';
import { loadConfig } from '../../dist/config/index.js';
import type { IjbEvaluation, MegaFaceEvaluation } from '../../dist/evaluate/index.js';
import { RunFolder } from '../../dist/train/runFolder.js';

const reference = join(import.meta.dirname, '../evaluate/reference/protocols');
const ijbb = join(reference, 'IJBB');
let folder: string;
let run: RunFolder;

/** Runs a command line: its exit code, and what it printed. */
async function hyperarc(...args: string[]): Promise<{ code: number; out: string; errors: string }> {
  let [out, errors] = ['', ''];
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((out += String(text)), true)),
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((errors += String(text)), true)),
  ];
  try {
    const code = await main(args);
    return { code, out, errors };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

const json = <T>(path: string): T => JSON.parse(readFileSync(path, 'utf8')) as T;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-protocols-'));
  const config = join(folder, 'config.yaml');
  writeFileSync(
    config,
    JSON.stringify({ name: 'tiny', output: join(folder, 'runs'), data: { root: folder, imageSize: 32 } }),
  );
  run = RunFolder.create(
    loadConfig(config, ['backbone.name=mobilefacenet', 'backbone.embeddingSize=16', 'backend=wasm']),
  );
  await initBackend('wasm', () => undefined);
  const backbone = createBackbone({ name: 'mobilefacenet', embeddingSize: 16, inputSize: 32, seed: 3 });
  await saveModelFolder(backbone, run.modelPath);
  backbone.dispose();
});
afterAll(() => rmSync(folder, { recursive: true }));

it('evaluates a run on IJB-B, keeps its embeddings, and evaluates them in other ways', async () => {
  const kept = join(folder, 'kept.safetensors');
  const flags = ['--data', ijbb, '--protocol', 'ijbb', '--backend', 'wasm'];
  const { code, out, errors } = await hyperarc('evaluate-ijb', run.path, ...flags, '--save-features', kept);
  expect({ code, errors }).toMatchObject({ code: 0, errors: expect.stringContaining('embedded 11 of 11\n') as string });
  const file = join(run.path, 'ijbb.json');
  expect(out).toMatch(
    /^IJB-B, .*tiny-001: 11 images, 6 templates\nflip on, norm score on, detector score on\n\n1:1 {2}3 genuine and 12 impostor pairs/,
  );
  expect(out).toContain('FAR 1e-4 needs at least 10000 impostor scores, has 12');
  expect(out).toContain(`${file} written\n`);
  const first = json<IjbEvaluation>(file);
  expect(first).toMatchObject({ format: 'hyperarc-ijb-1', protocol: 'ijbb', identification: null, flip: true });
  expect(first.environment).toHaveProperty(['TensorFlow.js']);

  const other = join(folder, 'other.json');
  const again = ['evaluate-ijb', '--data', ijbb, '--protocol', 'ijbb', '--features', kept, '--output', other];
  expect((await hyperarc(...again)).code).toBe(0);
  expect(json<IjbEvaluation>(other).verification).toEqual(first.verification);
  const changed = await hyperarc(...again, '--no-flip', '--no-norm-score', '--no-detector-score', '--rule', 'strict');
  expect(changed.out).toContain('flip off, norm score off, detector score off\n');
  expect(json<IjbEvaluation>(other)).toMatchObject({
    flip: false,
    normScore: false,
    detectorScore: false,
    verification: { rule: 'strict' },
  });
});

it('evaluates a model folder, which has no place for results', async () => {
  const before = readFileSync(join(run.path, 'ijbb.json'), 'utf8');
  const { code, out } = await hyperarc(
    'evaluate-ijb',
    run.modelPath,
    '--data',
    ijbb,
    '--protocol',
    'ijbb',
    '--backend',
    'wasm',
  );
  expect(code).toBe(0);
  expect(out).not.toContain('written');
  expect(readFileSync(join(run.path, 'ijbb.json'), 'utf8')).toBe(before);
});

it('evaluates features on MegaFace and puts the result into the run', async () => {
  const at = (name: string) => join(reference, 'MegaFace', name);
  const features = ['--probe-features', at('probes.npy'), '--distractor-features', at('distractors.npy')];
  const { code, out } = await hyperarc(
    'evaluate-megaface',
    run.path,
    '--data',
    join(reference, 'MegaFace'),
    ...features,
    '--noisy-probes',
    'drop',
  );
  expect(code).toBe(0);
  expect(out).toContain('cleaned: 3 distractors left out, 2 probes left out');
  const { identification, noisyProbes } = json<MegaFaceEvaluation>(join(run.path, 'megaface.json'));
  const expected = json<{ drop: { rates: number[] } }>(at('expected.json'));
  expect(identification.map(({ rate }) => rate)).toEqual(expected.drop.rates);
  expect(noisyProbes).toBe('drop');
});

it('searches MegaFace through an index, and states its recall', async () => {
  const at = (name: string) => join(reference, 'MegaFace', name);
  const features = ['--probe-features', at('probes.npy'), '--distractor-features', at('distractors.npy')];
  const flags = ['--index', 'ivf', '--lists', '12', '--recall', '0.7', '--recall-probes', '15', '--index-seed', '3'];
  const { code, out } = await hyperarc('evaluate-megaface', run.path, '--data', at(''), ...features, ...flags);
  expect(code).toBe(0);
  expect(out).toContain('upper bounds, for the index misses some distractors');
  const { index, verification } = json<MegaFaceEvaluation>(join(run.path, 'megaface.json'));
  expect(verification).toBeNull();
  expect(index).toMatchObject({
    kind: 'ivf',
    seed: 3,
    lists: 12,
    recall: [{ k: 1 }, { k: 10, checked: 15, probes: 18 }],
  });
  expect(index!.recall[1]!.low).toBeGreaterThanOrEqual(0.7);
  expect(out).toContain(`index  ${index!.listsPerProbe} of 12 lists for each probe`);
  const fixed = ['--index', 'ivf', '--lists-per-probe', '5'];
  expect((await hyperarc('evaluate-megaface', run.path, '--data', at(''), ...features, ...fixed)).code).toBe(0);
  expect(json<MegaFaceEvaluation>(join(run.path, 'megaface.json')).index).toMatchObject({
    lists: 24,
    listsPerProbe: 5,
  });
});

it('says what is wrong, and writes nothing then', async () => {
  const output = join(folder, 'none.json');
  const cases: [string[], string][] = [
    [['evaluate-ijb', '--data', ijbb], 'E_RANGE: run: expected a run, a model or --features FILE'],
    [
      ['evaluate-ijb', '--data', ijbb, '--features', 'x.npy'],
      'expected meta/ijbc_face_tid_mid.txt, found none; give the folder with meta and loose_crop, and --protocol',
    ],
    [
      ['evaluate-ijb', '--data', ijbb, '--protocol', 'ijbb', '--features', join(reference, 'IJBC/embeddings.npy')],
      'expected a row for each of the 11 lines of ijbb_face_tid_mid.txt, received 424',
    ],
    [['evaluate-ijb', '--data', ijbb, '--features', 'a', '--save-features', 'b'], 'E_RANGE: --save-features'],
    [['evaluate-ijb', reference, '--data', ijbb, '--protocol', 'ijbb'], 'E_FORMAT: run: expected a run folder'],
    [['evaluate-megaface', '--data', ijbb], 'E_RANGE: run: expected a run, a model or --probe-features'],
    [
      ['evaluate-megaface', '--data', ijbb, '--probe-features', 'x.npy'],
      'facescrub_lst: expected a readable file, received ENOENT',
    ],
    [
      ['evaluate-megaface', '--data', join(reference, 'MegaFace'), '--probe-features', 'x.npy'],
      'E_RANGE: features: expected those of probes and distractors',
    ],
    ...[
      ['--lists', '3'],
      ['--lists-per-probe', '3'],
      ['--recall', '.9'],
      ['--recall-probes', '9'],
      ['--index-seed', '0'],
    ].map((flags): [string[], string] => [
      ['evaluate-megaface', '--data', join(reference, 'MegaFace'), '--probe-features', 'x.npy', ...flags],
      `E_RANGE: ${flags[0]}: expected --index ivf beside it, received none; add it`,
    ]),
    [
      ['evaluate-megaface', reference, '--data', ijbb, '--index', 'ivf', '--recall', '0.9', '--lists-per-probe', '3'],
      'E_RANGE: --recall: expected none beside --lists-per-probe, received both; leave one of them out',
    ],
  ];
  for (const [args, message] of cases) {
    const { code, out, errors } = await hyperarc(...args, '--output', output);
    expect({ code, out, errors }).toEqual({ code: 1, out: '', errors: expect.stringContaining(message) as string });
  }
  expect(existsSync(output)).toBe(false);
  expect((await hyperarc('evaluate-ijb', '--data', ijbb, '--protocol', 'ijbd')).code).toBe(2);
  for (const recall of ['0', '1.1', '0.9x', '1e-1', '-1']) {
    const { code, errors } = await hyperarc('evaluate-megaface', '--data', ijbb, '--index', 'ivf', '--recall', recall);
    expect({ code, errors }).toMatchObject({ code: 2, errors: expect.stringContaining('--recall') as string });
  }
});
