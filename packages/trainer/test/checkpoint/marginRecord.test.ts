import { arcFace, classVariant, withInterClassFilter } from '@hyperarc/heads';
import { expect, it } from 'vitest';

import { checkMarginRecord, marginRecord } from '../../dist/checkpoint/marginRecord.js';

const counts = Array.from({ length: 100 }, (_, j) => j + 1);

it('holds every number of a margin, and survives JSON', () => {
  const record = marginRecord(withInterClassFilter(arcFace({ margin: 0.4 }), { threshold: 0.3 }));
  expect(record).toMatchObject({ scale: 64, m1: 1, m2: 0.4, m3: 0, fallback: 'hard', gradient: 'exact' });
  expect(JSON.parse(JSON.stringify(record))).toEqual(record);
  expect(JSON.stringify(record)).toContain('0.3');
});

it('holds a margin for each class as a digest, which changes with any of them', () => {
  const record = marginRecord(classVariant({ counts }));
  expect(JSON.stringify(record).length).toBeLessThan(500);
  expect(record).toMatchObject({
    adaptive: [{ margins: expect.stringMatching(/^100 values, sha256 [0-9a-f]{64}$/) as string }],
  });
  const other = classVariant({ counts: counts.with(50, 60) });
  expect(() => checkMarginRecord(other, record)).toThrow(/^E_RANGE: margin: .*\(adaptive\.0\.margins: was "100 values/);
});

it('passes the margin it was made of, and any where none was recorded', () => {
  const margin = classVariant({ counts });
  expect(() => checkMarginRecord(margin, marginRecord(margin))).not.toThrow();
  expect(() => checkMarginRecord(margin, undefined)).not.toThrow();
});

it('names each number that differs', () => {
  expect(() => checkMarginRecord(arcFace({ scale: 32 }), marginRecord(arcFace({ margin: 0.3 })))).toThrow(
    'E_RANGE: margin: expected the numbers of the checkpoint, received others (m2: was 0.3, now 0.5; scale: was 64, now 32); give',
  );
});
