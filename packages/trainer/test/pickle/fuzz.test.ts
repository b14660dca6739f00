import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { numpyGlobals, plainGlobals, unpickle } from '../../dist/pickle/index.js';
import { mutate, randomOf } from './mutate.js';

const { cases } = JSON.parse(readFileSync(new URL('./vectors.json', import.meta.url), 'utf8')) as {
  cases: { encoding: 'latin1' | 'bytes'; pickle: string }[];
};

it('10,000 damaged pickles are read, or refused with E_FORMAT, in little memory', () => {
  const globals = new Map([...plainGlobals, ...numpyGlobals]);
  const originals = cases.map(({ pickle, encoding }) => ({ bytes: Buffer.from(pickle, 'base64'), encoding }));
  const random = randomOf(20);
  const before = process.memoryUsage().rss;
  let refused = 0;
  for (let i = 0; i < 10_000; i++) {
    const { bytes, encoding } = originals[random(originals.length)]!;
    try {
      unpickle(mutate(bytes, random), { globals, encoding, persistentLoad: () => null });
    } catch (error) {
      if (!(error instanceof HyperArcError) || error.code !== 'E_FORMAT') throw error;
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(2000);
  expect(refused).toBeLessThan(10_000);
  expect(process.memoryUsage().rss - before).toBeLessThan(400e6);
});
