/**
 * The tests of a bundle (scripts/bundle): what proves the engine on a machine with a GPU and without Node.
 * usage: main [GROUP…] [--device cuda:0 | cpu] [--count N] [--classes N]. Exit code 1 if anything failed, 2 if there is no such device.
 */
import { parseArgs } from 'node:util';
import type { DeviceSpec } from '../../dist/index.js';
import { addonStatus, openDevice } from '../../dist/index.js';
import { contractCases } from '../contract/suite.js';
import type { Check } from './checks.js';
import { runChecks } from './checks.js';
import { identicalChecks } from './identical.js';
import { LARGE_CLASSES, largeChecks } from './large.js';
import { randomChecks } from './random.js';
import type { EngineSubject } from './subjects.js';
import { subjectsOf } from './subjects.js';
import { troubleChecks } from './trouble.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    device: { type: 'string', default: 'cuda:0' },
    count: { type: 'string', default: '10000' },
    classes: { type: 'string', default: String(LARGE_CLASSES) },
  },
});
const device = values.device as DeviceSpec;
const [count, classes] = [Number(values.count), Number(values.classes)];

function* contractChecks(subjects: readonly EngineSubject[]): Iterable<Check> {
  for (const { name, implementation } of subjects) {
    for (const one of contractCases(implementation)) {
      yield { group: `contract: ${name}`, name: `${one.group}: ${one.name}`, run: () => one.run(implementation) };
    }
  }
}

/** Few and small problems through every kernel: what compute-sanitizer, which slows a program a hundredfold, can run in minutes. */
function* sanitizeChecks(subjects: readonly EngineSubject[]): Iterable<Check> {
  for (const { name, implementation } of subjects) {
    const small = { ...implementation, maxProducts: 30_000 };
    const groups = new Map<string, number>();
    for (const one of contractCases(small)) {
      const seen = groups.get(one.group) ?? 0;
      groups.set(one.group, seen + 1);
      if (seen < 6) yield { group: `sanitize: ${name}`, name: `${one.group}: ${one.name}`, run: () => one.run(small) };
    }
  }
  yield* randomChecks(subjects, 6 * subjects.length);
  yield* identicalChecks(subjects, 2011);
}

const GROUPS: Readonly<Record<string, (subjects: readonly EngineSubject[]) => Iterable<Check>>> = {
  contract: contractChecks,
  random: (subjects) => randomChecks(subjects, count),
  // The portable CPU engine needs minutes for what a GPU does in milliseconds.
  identical: (subjects) => identicalChecks(subjects, device === 'cpu' ? 2011 : 20_011),
  trouble: (subjects) => troubleChecks(device, subjects),
  large: (subjects) => largeChecks(subjects, classes),
  sanitize: sanitizeChecks,
};

const wanted = positionals.length > 0 ? positionals : Object.keys(GROUPS).filter((name) => name !== 'sanitize');
const unknown = wanted.find((name) => !(name in GROUPS));
if (unknown !== undefined || !(count >= 1) || !(classes >= 64)) {
  console.error(`usage: main [${Object.keys(GROUPS).join(' | ')}]… [--device NAME] [--count N ≥ 1] [--classes N ≥ 64]`);
  process.exit(2);
}
try {
  const opened = openDevice(device);
  const { name, instructionSet } = opened.info;
  console.log(`${device}: ${name} (${instructionSet}); ${addonStatus().buildDescription}`);
  opened.dispose();
} catch (error) {
  console.error(`${device}: ${(error as Error).message}`);
  process.exit(2);
}
const subjects = subjectsOf(device);
let failed = 0;
for (const name of wanted) failed += await runChecks(GROUPS[name](subjects), console.log);
console.log(failed === 0 ? 'PASSED' : `FAILED: ${failed}`);
process.exit(failed === 0 ? 0 : 1);
