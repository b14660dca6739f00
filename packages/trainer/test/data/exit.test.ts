import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { imageFolder } from './fixtures.js';

const library = new URL('../../dist/data/index.js', import.meta.url).href;

/** Runs a program to its end; rejects when it has not ended by itself in time. */
const run = (program: string) => promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { timeout: 30_000 });

describe('threads', () => {
  it('do not keep a process alive that never used them', async () => {
    const program = `import { createImageLoader } from ${JSON.stringify(library)};
      createImageLoader({ workers: 2 });
      console.log('at its end');`;
    expect((await run(program)).stdout.trim()).toBe('at its end');
  });

  it('do not keep a process alive, closed or forgotten', async () => {
    const root = await imageFolder(2, 3);
    for (const close of ['await loader.close();', '']) {
      const program = `import { BatchLoader, scanImageFolder } from ${JSON.stringify(library)};
        const loader = new BatchLoader({ dataset: scanImageFolder(${JSON.stringify(root)}), batchSize: 2, imageSize: 8, seed: 1, workers: 2 });
        console.log((await loader.next()).labels.length);
        ${close}`;
      expect((await run(program)).stdout.trim()).toBe('2');
    }
  });
});
