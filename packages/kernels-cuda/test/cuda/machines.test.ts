/** Machines that only the host harness can be: without a driver, with an old one, short of memory, with a kernel that fails. */
import { spawnSync } from 'node:child_process';

import { expect, it } from 'vitest';

import { describeCuda, isEmulated } from './support.js';

const index = new URL('../../dist/index.js', import.meta.url).href;

const PRELUDE = `
  import { addonStatus, ClassCenters, listDevices, openDevice } from ${JSON.stringify(index)};
  const margin = { scale: 64, m1: 1, m2: 0.5, m3: 0, fallback: 'hard', gradient: 'exact' };
  const sgd = { learningRate: 0.1, momentum: 0.9 };
  const batchOf = (batch, dim) => ({
    embeddings: Float32Array.from({ length: batch * dim }, (_, e) => Math.sin(1 + e * e)),
    labels: Int32Array.from({ length: batch }, (_, i) => i % 5),
    margin,
  });
  const outcome = async (call) => {
    try {
      return await call();
    } catch ({ code, message, plan }) {
      return { code, message, fits: plan?.fits };
    }
  };
  const answer = {};
`;

interface Failure {
  code: string;
  message: string;
  fits?: boolean;
}

/** Runs \`body\`, which fills \`answer\`, in a process on a machine with these settings. */
function onMachine<Answer>(settings: Record<string, string | number>, body: string): Answer & { stderr: string } {
  const env: NodeJS.ProcessEnv = { ...process.env };
  for (const [name, value] of Object.entries(settings)) env[`HYPERARC_EMULATED_${name}`] = String(value);
  const source = `${PRELUDE}${body}\nconsole.log(JSON.stringify(answer));`;
  const { stdout, stderr, status, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', source], {
    env,
    encoding: 'utf8',
  });
  expect({ status, signal }, stderr).toEqual({ status: 0, signal: null });
  return { ...(JSON.parse(stdout) as Answer), stderr };
}

describeCuda('a machine', () => {
  it.runIf(isEmulated).each([
    ['without a driver', { DRIVER: 0 }, /no NVIDIA driver .*install/],
    [
      'with a driver older than the runtime',
      { DRIVER: 12040 },
      /driver is too old: it serves CUDA 12\.4, this build needs 13\.0; update the driver/,
    ],
    ['whose driver shows no device', { DEVICES: 0 }, /shows this process no device; check nvidia-smi/],
  ])('%s has the CPU, and says why nothing else', (_, settings, why) => {
    const answer = onMachine<{ kinds: string[]; whyNoCuda: string; automatic: string; asked: Failure }>(
      settings,
      `answer.kinds = listDevices().map(({ kind }) => kind);
       answer.whyNoCuda = addonStatus().whyNoCuda;
       answer.automatic = openDevice('auto').info.kind;
       answer.asked = await outcome(() => openDevice('cuda:0'));`,
    );
    expect(answer).toMatchObject({ kinds: ['cpu'], automatic: 'cpu', asked: { code: 'E_DEVICE' }, stderr: '' });
    expect(answer.whyNoCuda).toMatch(why);
    expect(answer.asked.message).toMatch(why);
  });

  it.runIf(isEmulated)('with a GPU too old for the kernels warns, and takes the CPU for auto', () => {
    const answer = onMachine<{ automatic: string; asked: Failure }>(
      { SM: 75 },
      `answer.automatic = openDevice('auto').info.kind;
       answer.asked = await outcome(() => openDevice('cuda:0'));`,
    );
    expect(answer.automatic).toBe('cpu');
    expect(answer.stderr).toMatch(/HyperArcWarning: HyperArc runs on the CPU: .*sm_80 or newer/);
    expect(answer.asked).toMatchObject({ code: 'E_DEVICE', message: expect.stringMatching(/received .*sm_75/) });
  });

  it.runIf(isEmulated)('with two GPUs has an engine on each, and they do not disturb each other', () => {
    const answer = onMachine<{ losses: number[]; alone: number[]; missing: Failure; names: string[] }>(
      { DEVICES: 2 },
      `const run = async (centers) => {
         const losses = [];
         for (let t = 0; t < 3; t++) {
           const { loss, step } = await centers.forwardAsync(batchOf(6, 16));
           await centers.updateAsync(step, sgd);
           losses.push(loss);
         }
         return losses;
       };
       const make = (device) => ClassCenters.create({ classes: 40, dim: 16, precision: 'bf16', device });
       answer.alone = await run(make('cuda:0'));
       const both = await Promise.all([run(make('cuda:0')), run(make('cuda:1'))]);
       answer.losses = both.flat();
       answer.names = [openDevice('cuda:0'), openDevice('cuda:1')].map((device) => device.info.index);
       answer.missing = await outcome(() => openDevice('cuda:2'));`,
    );
    expect(answer.losses).toEqual([...answer.alone, ...answer.alone]);
    expect(answer.names).toEqual([0, 1]);
    expect(answer.missing).toMatchObject({ code: 'E_DEVICE', message: expect.stringMatching(/\[0, 2\), received 2/) });
  });

  it.runIf(isEmulated)('short of memory names the plan, and the engine goes on', () => {
    const answer = onMachine<{
      centers: Failure;
      step: Failure;
      losses: number[];
      same: boolean;
      freed: boolean;
    }>(
      { MEMORY_BYTES: 24 * 2 ** 20 },
      `const device = openDevice('cuda:0');
       answer.centers = await outcome(() => device.createCenters({ classes: 100_000, dim: 64 }));
       const centers = device.createCenters({ classes: 1000, dim: 64 });
       const before = centers.readRows(0, 1000);
       const first = centers.forward(batchOf(4, 64));
       first.step.dispose();
       answer.step = await outcome(() => centers.forward(batchOf(60_000, 64)));
       const second = centers.forward(batchOf(4, 64));
       answer.losses = [first.loss, second.loss];
       const after = centers.readRows(0, 1000);
       answer.same = after.every((value, e) => Object.is(value, before[e]));
       centers.update(second.step, sgd);
       centers.dispose();
       // All memory has come back: the same again fits again and again.
       for (let i = 0; i < 20; i++) device.createCenters({ classes: 20_000, dim: 64 }).dispose();
       answer.freed = true;`,
    );
    expect(answer.centers).toMatchObject({ code: 'E_MEMORY', fits: false });
    expect(answer.centers.message).toMatch(/classes: expected .* received a plan of .*weights/);
    expect(answer.step).toMatchObject({ code: 'E_MEMORY', fits: false });
    expect(answer.step.message).toMatch(/forward: expected memory .* received a plan of .*step/);
    expect(answer.losses[0]).toBe(answer.losses[1]);
    expect(answer).toMatchObject({ same: true, freed: true });
  });

  it.runIf(isEmulated).each([
    ['targetTerms', 'forward'],
    ['plainSoftmaxTerms', 'forward'],
    ['finishForward', 'forward'],
  ])('whose kernel %s fails in %s names it once, then refuses', (kernel) => {
    const answer = onMachine<{ first: Failure; later: Failure[]; other: string; kind: string }>(
      { FAIL_KERNEL: kernel },
      `const device = openDevice('cuda:0');
       const centers = device.createCenters({ classes: 40, dim: 16 });
       answer.first = await outcome(() => centers.forward(batchOf(6, 16)));
       answer.later = [
         await outcome(() => centers.forward(batchOf(6, 16))),
         await outcome(() => centers.forwardAsync(batchOf(6, 16))),
         await outcome(() => centers.readRows(0, 1)),
         await outcome(() => device.createCenters({ classes: 4, dim: 4 })),
       ];
       answer.kind = device.info.kind;
       centers.dispose();
       device.dispose();
       // The process goes on with another engine.
       const cpu = ClassCenters.create({ classes: 40, dim: 16, device: 'cpu' });
       answer.other = typeof cpu.forward(batchOf(6, 16)).loss;`,
    );
    expect(answer.first).toMatchObject({ code: 'E_DEVICE', message: expect.stringContaining(kernel) });
    expect(answer.first.message).toMatch(/start a new process and continue from a checkpoint/);
    for (const failure of answer.later) {
      expect(failure).toMatchObject({ code: 'E_DEVICE', message: expect.stringMatching(/failed earlier/) });
    }
    expect(answer).toMatchObject({ other: 'number', kind: 'cuda' });
  });

  it.runIf(isEmulated)('whose kernel fails in an update tells the next call', () => {
    const answer = onMachine<{ update: Failure; next: Failure; later: Failure }>(
      { FAIL_KERNEL: 'mma centerGradients' },
      `const centers = ClassCenters.create({ classes: 40, dim: 16, precision: 'bf16', device: 'cuda:0' });
       const { step } = centers.forward(batchOf(6, 16));
       answer.update = (await outcome(() => centers.updateAsync(step, sgd))) ?? { code: 'none' };
       answer.next = await outcome(() => centers.forwardAsync(batchOf(6, 16)));
       answer.later = await outcome(() => centers.readRows(0, 1));`,
    );
    // An update returns when its work is queued.
    expect(answer.update.code).toBe('none');
    expect(answer.next).toMatchObject({ code: 'E_DEVICE', message: expect.stringContaining('mma centerGradients') });
    expect(answer.later).toMatchObject({ code: 'E_DEVICE', message: expect.stringMatching(/failed earlier/) });
  });
});
