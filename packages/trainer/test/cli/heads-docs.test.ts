import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { explain } from '@hyperarc/heads';
import { plotHeads } from '@hyperarc/heads/plot';
import { expect, it } from 'vitest';

import { marginOfWord } from '../../dist/cli/headNames.js';

const root = fileURLToPath(new URL('../../../..', import.meta.url));
const pages = readdirSync(`${root}/docs/heads`).filter((name) => name.endsWith('.md'));
const read = (name: string): string => readFileSync(`${root}/docs/heads/${name}`, 'utf8');
const plots = pages.flatMap((page) =>
  [...read(page).matchAll(/^npx hyperarc heads plot (.+) --output (\S+)$/gm)].map(([, words, path]) => ({
    page,
    words: words.split(' '),
    path,
  })),
);

it('every page is in the index, and every picture of a page is made by the command under it', () => {
  const index = read('README.md');
  for (const page of pages.filter((name) => name !== 'README.md')) expect(index).toContain(`(${page})`);
  const pictures = readdirSync(`${root}/docs/heads`).filter((name) => name.endsWith('.svg'));
  expect(plots.map(({ path }) => path).sort()).toEqual(pictures.map((name) => `docs/heads/${name}`).sort());
  for (const { page, path } of plots) expect(read(page)).toContain(`(${path.slice('docs/heads/'.length)})`);
});

it.each(plots)('$path is what its command draws', ({ words, path }) => {
  const svg = plotHeads(words.map((name) => explain(marginOfWord(name), { name })));
  expect(svg === readFileSync(`${root}/${path}`, 'utf8')).toBe(true);
});
