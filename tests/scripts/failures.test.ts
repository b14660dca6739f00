import { expect, it } from 'vitest';
import { failureCollector } from '../../scripts/lib/failures.mjs';

it.each([
  [
    'Vitest',
    '@hyperarc/heads:  \u001b[41m FAIL \u001b[49m  test/browser.test.ts > heads in a browser',
    'test/browser.test.ts >',
  ],
  ['what a test threw', '@hyperarc/heads:  AssertionError: expected 1 to be 2', 'expected 1 to be 2'],
  ['a test that hangs', '@hyperarc/heads:  Error: Test timed out in 60000ms.', 'timed out'],
  ['CTest', ' 12/786 Test #12: MarginTest.Hard ..........***Failed    0.01 sec', 'MarginTest.Hard'],
  ['GoogleTest', '12: [  FAILED  ] MarginTest.Hard (3 ms)', 'MarginTest.Hard'],
  ['TypeScript', "src/a.ts(1,7): error TS2322: Type 'string' is not assignable", 'TS2322'],
  ['ESLint', '  12:3  error  Unexpected any  no-explicit-any', 'Unexpected any'],
  ['g++', 'native/src/a.cc:10:4: error: expected ;', 'a.cc:10:4'],
  ['Prettier', '[warn] docs/a.md', 'docs/a.md'],
  ['AddressSanitizer', '==1==ERROR: AddressSanitizer: heap-buffer-overflow', 'heap-buffer-overflow'],
])('a failure is named: %s', (_, line, named) => {
  const failures = failureCollector();
  failures.look(line);
  expect(failures.found()).toHaveLength(1);
  expect(failures.found()[0]).toContain(named);
});

it.each([
  '@hyperarc/heads:  ✓ test/errors.test.ts > says FAIL in the middle 3ms',
  '786/786 Test #786: MarginTest.Hard ..........   Passed    0.01 sec',
  '@hyperarc/heads:       Tests  2604 passed | 1 skipped (2605)',
  '[       OK ] MarginTest.Hard (3 ms)',
])('what passes is not: %s', (line) => {
  const failures = failureCollector();
  failures.look(line);
  expect(failures.found()).toEqual([]);
});

it('each once, the first ones, with how many there were', () => {
  const failures = failureCollector(2);
  for (const name of ['a', 'b', 'a', 'c', 'd']) failures.look(` FAIL  ${name}.test.ts`);
  expect(failures.found()).toEqual(['FAIL  a.test.ts', 'FAIL  b.test.ts', '… and 2 more']);
});
