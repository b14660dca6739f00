/**
 * The tests of a bundle (scripts/bundle): what proves the engine on a machine with a GPU and without Node. docs/air-gapped.md.
 * usage: main [GROUP…] [OPTION…]. Exit code 1 if anything failed or was not run, 2 if there is no such device.
 */
import { appendFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import type { DeviceSpec } from '../../dist/index.js';
import { addonStatus, openDevice } from '../../dist/index.js';
import { contractCases } from '../contract/suite.js';
import type { Check } from './checks.js';
import { identicalChecks } from './identical.js';
import { killAll, runJobs } from './jobs.js';
import { LARGE_CLASSES, largeChecks } from './large.js';
import { nativeChecks } from './native-tests.js';
import { randomChecks } from './random.js';
import { Report } from './report.js';
import { sanitizeChecks, TOOLS } from './sanitize.js';
import type { Share } from './share.js';
import { runShare } from './share.js';
import type { EngineSubject } from './subjects.js';
import { subjectsOf } from './subjects.js';
import { troubleChecks } from './trouble.js';

const USAGE = `usage: main [kernels | contract | random | identical | trouble | large | sanitize]… [--device NAME] [--count N ≥ 1] [--classes N ≥ 64]
  [--jobs N ≥ 1] [--patience SECONDS] [--seconds N] [--output FILE] [--sanitizer FILE [--tool ${TOOLS.join(' | ')}]…]`;

function refuse(line: string): never {
  console.error(line);
  process.exit(2);
}

function readOptions() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        device: { type: 'string', default: 'cuda:0' },
        count: { type: 'string', default: '10000' },
        classes: { type: 'string', default: String(LARGE_CLASSES) },
        jobs: { type: 'string', default: String(availableParallelism()) },
        patience: { type: 'string' },
        seconds: { type: 'string', default: 'Infinity' },
        output: { type: 'string', default: 'gpu-tests.jsonl' },
        sanitizer: { type: 'string' },
        tool: { type: 'string', multiple: true, default: [...TOOLS] },
        share: { type: 'string' },
      },
    });
  } catch (error) {
    return refuse(`${(error as Error).message}\n${USAGE}`);
  }
}

const { values, positionals } = readOptions();
const device = values.device as DeviceSpec;
const [count, classes, jobs, seconds] = [values.count, values.classes, values.jobs, values.seconds].map(Number);
// Under a sanitizer the first kernels wait until all of them have been rewritten.
const patience = Number(values.patience ?? (values.sanitizer === undefined ? 60 : 180));

/** What compute-sanitizer's tools print of each thing they find. */
const FINDING =
  /^=+ +(Invalid |Misaligned |Error: |Warning: Race|Race reported|Uninitialized |Barrier error|Program hit|Malloc\/Free error|Fatal)/;

function* contractChecks(subjects: readonly EngineSubject[]): Iterable<Check> {
  for (const { name, implementation } of subjects) {
    for (const one of contractCases(implementation)) {
      const run = () => one.run(implementation);
      yield { group: `contract: ${name}`, subject: name, name: `${one.group}: ${one.name}`, run };
    }
  }
}

const GROUPS: Readonly<Record<string, (subjects: readonly EngineSubject[]) => Iterable<Check>>> = {
  kernels: nativeChecks,
  contract: contractChecks,
  identical: (subjects) => identicalChecks(subjects, device === 'cpu' ? 2011 : 20_011),
  trouble: (subjects) => troubleChecks(device, subjects),
  random: (subjects) => randomChecks(subjects, count),
  large: (subjects) => largeChecks(subjects, classes),
  sanitize: sanitizeChecks,
};
// `kernels` are CUDA's, and `sanitize` is for a sanitizer.
const byDefault = Object.keys(GROUPS).filter((name) => name !== 'sanitize' && (name !== 'kernels' || device !== 'cpu'));
const wanted = positionals.length > 0 ? positionals : byDefault;
const unknown = wanted.find((name) => !(name in GROUPS)) ?? values.tool.find((name) => !TOOLS.some((t) => t === name));
if (unknown !== undefined || !(count >= 1 && classes >= 64 && jobs >= 1 && patience > 0 && seconds > 0)) refuse(USAGE);

try {
  const opened = openDevice(device);
  const { name, instructionSet } = opened.info;
  opened.dispose();
  if (values.share === undefined) {
    console.log(`${device}: ${name} (${instructionSet}); ${addonStatus().buildDescription}`);
  }
} catch (error) {
  refuse(`${device}: ${(error as Error).message}`);
}

const checksOf = (names: readonly string[]) => {
  const subjects = subjectsOf(device);
  return names.flatMap((name) => [...GROUPS[name](subjects)]);
};

/** The command line of a process that runs a share of these groups. */
const shareCommand = (names: readonly string[]) => {
  const options = ['--device', device, '--count', String(count), '--classes', String(classes)];
  return [process.execPath, process.argv[1], ...names, ...options, '--share'];
};

if (values.share !== undefined) {
  // Whoever asked is gone when nobody reads.
  process.stdout.on('error', () => process.exit(3));
  const share = JSON.parse(values.share) as Share;
  await runShare(share, checksOf(wanted), device, (line) => void process.stdout.write(`${JSON.stringify(line)}\n`));
} else {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      killAll();
      console.log(`ended by ${signal}`);
      process.exit(130);
    });
  }
  process.exit((await prove()) ? 0 : 1);
}

interface Part {
  checks: readonly Check[];
  jobs: number;
  command: readonly string[];
  /** Before what a process says that is no outcome. */
  name: string;
}

/** The groups of a stage share its processes; the stages come one after another. The longest is the last: time may end before it does. */
function testStages(): string[][] {
  const early = wanted.filter((name) => name !== 'large' && name !== 'random');
  // What takes most of a GPU's memory runs alone.
  const late = ['large', 'random'].filter((name) => wanted.includes(name)).map((name) => [name]);
  return [early, ...late].filter((names) => names.length > 0);
}

/** The parts of each stage run at once. */
function stages(): Part[][] {
  const { sanitizer } = values;
  if (sanitizer === undefined) {
    return testStages().map((names) => [
      {
        checks: checksOf(names),
        jobs: names.includes('large') ? 1 : jobs,
        command: shareCommand(names),
        name: names.join(', '),
      },
    ]);
  }
  return [
    values.tool.map((tool) => ({
      checks: checksOf(wanted).map((check) => ({ ...check, group: `${tool}: ${check.group}` })),
      jobs: Math.max(1, Math.floor(jobs / values.tool.length)),
      command: [sanitizer, '--tool', tool, '--error-exitcode', '9', ...shareCommand(wanted)],
      name: tool,
    })),
  ];
}

async function prove(): Promise<boolean> {
  const run = new Date().toISOString();
  const deadline = performance.now() + 1e3 * seconds;
  const start = performance.now();
  const all = stages();
  const environment = { commit: process.env['HYPERARC_COMMIT'] ?? null, addon: addonStatus().buildDescription };
  const header = { format: 'hyperarc-gpu-tests-1', run, device, ...environment, groups: wanted, count, classes, jobs };
  appendFileSync(values.output, `${JSON.stringify(header)}\n`);
  const report = new Report(
    all.flatMap((stage) => stage.flatMap(({ checks }) => checks)),
    console.log,
    values.output,
    run,
  );
  const record = (line: object) => appendFileSync(values.output, `${JSON.stringify({ run, ...line })}\n`);
  let isClean = true;
  for (const stage of all) {
    await Promise.all(
      stage.map(async (part) => {
        const findings: string[] = [];
        const troubles = await runJobs(part.checks, {
          ...part,
          patience,
          deadline,
          onOutcome: (check, outcome) => report.add(check, outcome),
          onText: (line) => {
            console.log(`  ${part.name}: ${line}`);
            if (FINDING.test(line)) findings.push(line.replace(/^=+ */, ''));
          },
        });
        // A process that the deadline ended has no exit code that tells of them.
        if (findings.length > 0) troubles.push(`${findings.length} findings, the first: ${findings[0]}`);
        for (const trouble of new Set(troubles)) {
          console.log(`FAILED ${part.name}: ${trouble}`);
          record({ part: part.name, trouble });
        }
        if (performance.now() < deadline) record({ part: part.name, ended: true });
        isClean &&= troubles.length === 0;
      }),
    );
  }
  const [failed, undone] = [report.count('failed'), report.count('not run')];
  const notRun = undone > 0 ? `, ${undone} not run` : '';
  const elapsed = ((performance.now() - start) / 1e3).toFixed(0);
  console.log(
    `${report.count('passed')} passed, ${report.count('skipped')} skipped, ${failed} failed${notRun} in ${elapsed} s`,
  );
  const passed = isClean && failed + undone === 0;
  console.log(passed ? 'PASSED' : failed > 0 || !isClean ? `FAILED: ${failed}` : `UNFINISHED: ${undone} not run`);
  record({ ended: passed ? 'passed' : 'failed', seconds: Number(elapsed) });
  return passed;
}
