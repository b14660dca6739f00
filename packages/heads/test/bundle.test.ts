import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { describe, expect, it } from 'vitest';

describe('the pure tfjs path', () => {
  it('bundles for a browser, with nothing of Node or the engine in it', async () => {
    const result = await build({
      entryPoints: [fileURLToPath(new URL('../dist/index.js', import.meta.url))],
      bundle: true,
      write: false,
      metafile: true,
      platform: 'browser',
      format: 'esm',
      external: ['@tensorflow/tfjs-core'],
      logLevel: 'silent',
    });
    const inputs = Object.keys(result.metafile.inputs);
    const imports = result.metafile.outputs[Object.keys(result.metafile.outputs)[0]].imports.map(({ path }) => path);
    expect([...new Set(imports)]).toEqual(['@tensorflow/tfjs-core']);
    expect(inputs.filter((path) => /addon|loader|centers\.js|engine\//.test(path))).toEqual([]);
    expect(inputs.some((path) => path.endsWith('margin-softmax.js'))).toBe(true);
  });
});
