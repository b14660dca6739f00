import { describe, expect, it } from 'vitest';
import { differences, faults, tableJson, tableMarkdown } from '../../scripts/lib/kernel-table.mjs';
import { kernelsOfPtx, missingInstructions } from '../../scripts/lib/ptx.mjs';
import { parsePtxas, shortName } from '../../scripts/lib/ptxas.mjs';

/** As nvcc 13.0 writes it: two architectures, a called function after its kernels. */
const REPORT = `ptxas info    : 272 bytes gmem, 16 bytes cmem[4]
ptxas info    : Compiling entry function '_Z1aPf' for 'sm_80'
ptxas info    : Function properties for _Z1aPf
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 31 registers, used 1 barriers, 1024 bytes smem, 372 bytes cmem[0]
ptxas info    : Compile time = 32.307 ms
ptxas info    : Compiling entry function '_Z1bPf' for 'sm_80'
ptxas info    : Function properties for _Z1bPf
    40 bytes stack frame, 4 bytes spill stores, 8 bytes spill loads
ptxas info    : Used 255 registers, used 1 barriers, 48 bytes cumulative stack size, 372 bytes cmem[0], 32 bytes cmem[2]
ptxas info    : Function properties for slowpath
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : 0 bytes gmem
ptxas info    : (C7510) Potential Performance Loss: wgmma.mma_async instructions are serialized due to insufficient register resources
ptxas info    : Compiling entry function '_Z1aPf' for 'sm_90a'
ptxas info    : Function properties for _Z1aPf
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 24 registers, used 0 barriers
`;
const plain = { registers: 31, stack: 0, spills: 0, shared: 1024 };

describe("ptxas's report", () => {
  it('is read by kernel and architecture, with its remarks', () => {
    expect(parsePtxas(REPORT)).toEqual({
      kernels: [
        { symbol: '_Z1aPf', architecture: '80', resources: plain },
        { symbol: '_Z1bPf', architecture: '80', resources: { registers: 255, stack: 48, spills: 12, shared: 0 } },
        { symbol: '_Z1aPf', architecture: '90a', resources: { registers: 24, stack: 0, spills: 0, shared: 0 } },
      ],
      remarks: [expect.stringMatching(/^\(C7510\).*serialized/)],
    });
  });

  it('says that registers are not redistributed', () => {
    const ignored =
      "ptxas info    : (C7508) Potential Performance Loss: 'setmaxnreg' ignored; unable to determine register count at entry.";
    expect(parsePtxas(`${ignored}\n${REPORT}`).remarks).toEqual([
      expect.stringMatching(/^\(C7508\).*setmaxnreg/),
      expect.stringMatching(/^\(C7510\)/),
    ]);
  });

  it('a called function that spills counts', () => {
    const spilling = REPORT.replace(
      /slowpath\n.*/,
      'slowpath\n    16 bytes stack frame, 8 bytes spill stores, 8 bytes spill loads',
    );
    expect(parsePtxas(spilling).kernels[2]).toEqual({
      symbol: 'slowpath',
      architecture: '80',
      resources: { registers: 0, stack: 16, spills: 16, shared: 0 },
    });
  });

  it('a kernel whose lines are missing is an error', () => {
    expect(() => parsePtxas(REPORT.replace(/.*Used 24.*\n/, ''))).toThrow(/expected registers .* of _Z1aPf for sm_90a/);
    expect(() => parsePtxas(REPORT.replace(/ {4}40 bytes stack.*\n/, ''))).toThrow(/_Z1bPf for sm_80/);
  });

  it.each([
    ['void hyperarc::cuda::(anonymous namespace)::sum<256, false>(float const*, int)', 'sum<256, false>'],
    ['void hyperarc::cuda::pass<(hyperarc::cuda::Mode)1>(hyperarc::cuda::Args)', 'pass<(Mode)1>'],
    ['hyperarc::cuda::plain(int)', 'plain'],
    ['slowpath', 'slowpath'],
  ])('%s is called %s', (demangled, name) => expect(shortName(demangled)).toBe(name));
});

describe('the table of resources', () => {
  const kernels = { 'a.cu: f': { '80': plain, '90a': { ...plain, registers: 24 } } };
  const committed = { nvcc: '13.0.88', kernels };

  it('local memory and spills are faults, unless so much is excused', () => {
    expect(faults(kernels, [])).toEqual([]);
    const stack = { 'a.cu: f': { '80': { ...plain, stack: 40, spills: 8 } } };
    const received = 'received 40 bytes of local memory a thread, 8 bytes of spills';
    expect(faults(stack, [])).toEqual([`a.cu: f for sm_80: expected none, ${received}`]);
    expect(faults(stack, [{ kernel: 'a.cu: g', bytes: 40, because: 'sin' }])).toHaveLength(1);
    expect(faults(stack, [{ kernel: 'a.cu: f', bytes: 40, because: 'sin' }])).toEqual([]);
    expect(faults(stack, [{ kernel: 'a.cu: f', bytes: 39, because: 'sin' }])).toEqual([
      `a.cu: f for sm_80: expected at most 39, ${received}`,
    ]);
  });

  it('tells what changed, what is new and what is gone', () => {
    expect(differences(committed, committed, ['80', '90a'])).toEqual([]);
    const built = {
      nvcc: '13.0.88',
      kernels: { 'a.cu: f': { '80': { ...plain, registers: 40 } }, 'b.cu: g': { '80': plain, '90a': plain } },
    };
    expect(differences(committed, built, ['90a', '80'])).toEqual([
      'a.cu: f: registers 31 → 40 (sm_80)',
      'a.cu: f: is gone (sm_90a)',
      'b.cu: g: is new (sm_80, sm_90a)',
    ]);
  });

  it('leaves out architectures that were not built, and the registers of another nvcc', () => {
    const built = { nvcc: '13.1.2', kernels: { 'a.cu: f': { '80': { ...plain, registers: 40 } } } };
    expect(differences(committed, built, ['80'])).toEqual([]);
  });

  it('is written so that it can be read again', () => {
    const table = { ...committed, mayUseStack: [{ kernel: 'a.cu', bytes: 8, because: 'sin' }] };
    expect(JSON.parse(tableJson(table))).toEqual(table);
    expect(JSON.parse(tableJson({ nvcc: '1', mayUseStack: [], kernels: {} }))).toEqual({
      nvcc: '1',
      mayUseStack: [],
      kernels: {},
    });
    expect(tableMarkdown(table)).toBe(
      '| kernel | sm_80 | sm_90a | static shared B | stack B |\n| --- | ---: | ---: | ---: | ---: |\n| `a.cu: f` | 31 | 24 | 1024 | 0 |',
    );
  });
});

describe('instructions in PTX', () => {
  const ptx = '.visible .entry _Z1a(\n){ mma.sync.aligned; }\n.weak .entry _Z1b(\n){ ld.global; }\n';

  it('are looked for in each kernel that a rule names', () => {
    const kernels = kernelsOfPtx(ptx);
    expect([...kernels.keys()]).toEqual(['_Z1a', '_Z1b']);
    expect(missingInstructions(kernels, [{ kernels: 'a$', instructions: ['mma.sync'] }])).toEqual([]);
    expect(missingInstructions(kernels, [{ kernels: '.', instructions: ['mma.sync'] }])).toEqual([
      '_Z1b: expected mma.sync in its PTX, found none',
    ]);
    expect(missingInstructions(kernels, [{ kernels: 'wgmma', instructions: [] }])).toEqual([
      'expected a kernel /wgmma/, received _Z1a, _Z1b',
    ]);
  });
});
