import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, it, vi } from 'vitest';

import { main } from '../../dist/cli/main.js';
import { writeSynthDataset } from '../../dist/synth/writeDataset.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-export-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Exit code and what was printed. */
async function run(...args: string[]): Promise<{ code: number; output: string; errors: string }> {
  const written = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => Boolean((written[name] += String(text)))),
  );
  try {
    const code = await main(args);
    return { code, output: written.stdout, errors: written.stderr };
  } finally {
    spies.forEach((spy) => spy.mockRestore());
  }
}

it('imports weights of PyTorch, evaluates them, and exports them', async () => {
  const weights = join(import.meta.dirname, '../import/vectors/iresnet.pt');
  const [model, faces] = [join(folder, 'model'), join(folder, 'faces')];
  const imported = await run('import', weights, model, '--backbone', 'iresnet10-w16', '--input-size', '32');
  expect(imported).toMatchObject({ code: 0 });
  expect(imported.output).toContain(`${model}: iresnet10-w16, images 32×32×3 (RGB, (x − 127.5)/127.5) to 8\n`);
  expect(imported.output).toContain('91 tensors of float16 from');
  await writeSynthDataset({ out: faces, identities: 4, samples: 3, seed: 1, size: 32 });
  const evaluated = await run('evaluate', model, '--data', faces, '--count', '8', '--folds', '2');
  expect(evaluated).toMatchObject({ code: 0 });
  expect(evaluated.output).toMatch(/model +\d/);
  for (const [name, what] of [
    ['m.onnx', /ONNX, opset 17: .*\nchecked by HyperArc's own reading.*: largest difference \d/],
    [
      'm.safetensors',
      /state dict of iresnet10-w16 in PyTorch, 109 tensors.*\nchecked by .*: largest difference 0 of values up to \d/,
    ],
  ] as const) {
    const exported = await run('export', model, join(folder, name));
    expect(exported).toMatchObject({ code: 0 });
    expect(exported.output).toMatch(what);
    expect(existsSync(join(folder, name))).toBe(true);
  }
});

it('says what is wrong with a command line', async () => {
  const unknown = await run('export', folder, join(folder, 'model.pb'));
  expect(unknown).toMatchObject({ code: 1 });
  expect(unknown.errors).toContain('E_RANGE: --format: expected one of onnx, safetensors, tfjs, received none');
  expect(await run('export', folder, 'x', '--format', 'pb')).toMatchObject({ code: 2 });
  expect(await run('import', 'w.pt', join(folder, 'x'))).toMatchObject({ code: 2 });
  expect(await run('import', 'w.pt', join(folder, 'x'), '--backbone', 'resnet')).toMatchObject({ code: 2 });
  const absent = await run('import', join(folder, 'no.pt'), join(folder, 'x'), '--backbone', 'iresnet18');
  expect(absent).toMatchObject({ code: 1 });
  expect(absent.errors).toMatch(
    /^hyperarc: E_FORMAT: .*no\.pt: expected a readable \.pt, .* received ENOENT; name the file/,
  );
});
