import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { describe, expect, it } from 'vitest';

describe.each([
  { entry: 'index.js', has: 'margin-softmax.js', imports: ['@tensorflow/tfjs-core'] },
  { entry: 'layers/index.js', has: 'margin-loss.js', imports: ['@tensorflow/tfjs-core', '@tensorflow/tfjs-layers'] },
])('the pure tfjs path: $entry', ({ entry, has, imports: expected }) => {
  it('bundles for a browser, with nothing of Node or the engine in it', async () => {
    const result = await build({
      entryPoints: [fileURLToPath(new URL(`../dist/${entry}`, import.meta.url))],
      bundle: true,
      write: false,
      metafile: true,
      platform: 'browser',
      format: 'esm',
      external: ['@tensorflow/*'],
      logLevel: 'silent',
    });
    const inputs = Object.keys(result.metafile.inputs);
    const imports = result.metafile.outputs[Object.keys(result.metafile.outputs)[0]].imports.map(({ path }) => path);
    expect([...new Set(imports)].sort()).toEqual(expected);
    expect(inputs.filter((path) => /addon|loader|centers\.js|engine\//.test(path))).toEqual([]);
    expect(inputs.some((path) => path.endsWith(has))).toBe(true);
  });
});
