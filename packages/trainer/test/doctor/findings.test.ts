import { describe, expect, it } from 'vitest';

import type { MachineFacts } from '../../dist/doctor/facts.js';
import { formatFindings, judge } from '../../dist/doctor/findings.js';

const healthy: MachineFacts = {
  nodeVersion: '20.20.2',
  processor: 'a processor',
  processorCount: 2,
  totalMemoryBytes: 24 * 2 ** 30,
  freeMemoryBytes: 12 * 2 ** 30,
  compiler: 'g++ 12.2.0',
  cmake: 'cmake version 3.25.1',
  nvcc: 'release 13.0',
  nvidiaDriver: '580.65',
  addon: { path: 'hyperarc.node', buildDescription: 'cpu-only', whyNoCuda: undefined, error: undefined },
  devices: [
    {
      name: 'a processor',
      kind: 'cpu',
      index: 0,
      instructionSet: 'avx2',
      threads: 2,
      totalMemoryBytes: 24 * 2 ** 30,
      freeMemoryBytes: 12 * 2 ** 30,
    },
  ],
  onnxRuntime: 'onnxruntime-node',
  backend: { name: 'tensorflow', tensorflowVersion: '2.21.0', usesGpu: false },
};

const levels = (facts: MachineFacts) =>
  Object.fromEntries(judge(facts).map((finding) => [finding.subject, finding.level]));

describe('doctor', () => {
  it('finds nothing to mend on a machine that has everything', () => {
    expect(judge(healthy).every((finding) => finding.level === 'ok')).toBe(true);
    expect(formatFindings(judge(healthy))).toContain('Training can run');
  });

  it('notes what only makes training slower, with the command that mends it', () => {
    const facts: MachineFacts = {
      ...healthy,
      compiler: undefined,
      nvcc: undefined,
      nvidiaDriver: undefined,
      addon: { ...healthy.addon, whyNoCuda: 'built without CUDA' },
      onnxRuntime: undefined,
      backend: { name: 'wasm', reason: 'no python3', fix: 'scripts/setup-tensorflow --force' },
    };
    expect(levels(facts)).toMatchObject({
      'C++ compiler': 'note',
      'CUDA toolkit': 'note',
      'NVIDIA driver': 'note',
      'engine on CUDA': 'note',
      'tfjs backend': 'note',
      'ONNX Runtime': 'note',
    });
    const text = formatFindings(judge(facts));
    expect(text).toContain('mend: scripts/setup-tensorflow --force');
    expect(text).toContain('built without CUDA');
    expect(text).toContain('Training can run');
  });

  it.each<[string, Partial<MachineFacts>, string]>([
    ['an old Node', { nodeVersion: '18.20.0' }, 'Node'],
    ['Node 20.18', { nodeVersion: '20.18.9' }, 'Node'],
    ['an addon that does not load', { addon: { ...healthy.addon, error: 'illegal instruction' } }, 'native addon'],
    ['no backend that trains', { backend: { name: 'wasm', cannotTrain: 'no gradients' } }, 'tfjs backend'],
  ])('fails on %s', (_, change, subject) => {
    const facts = { ...healthy, ...change };
    expect(levels(facts)[subject]).toBe('fail');
    expect(formatFindings(judge(facts))).toContain('Training cannot run');
  });

  it('lists GPUs with the kernels that run on them, which device auto takes, and one that cannot be used', () => {
    const gpu = {
      ...healthy.devices[0],
      name: 'a GPU',
      kind: 'cuda' as const,
      instructionSet: 'sm_90a',
      threads: 0,
      kernels: { 'fp32, D 512': 'plain-fp32', 'bf16, D 512': 'mma-bf16-d512', 'bf16, D 256': 'mma-bf16-d512' },
    };
    const broken = { ...gpu, index: 1, kernels: { error: 'E_DEVICE: out of order' } };
    const text = formatFindings(judge({ ...healthy, devices: [...healthy.devices, gpu, broken] }));
    expect(text).toMatch(/device cuda:0 .*a GPU: sm_90a, 24\.0 GiB, 12\.0 GiB free/);
    expect(text).toMatch(/kernels .*mma-bf16-d512 for bf16, D 512; bf16, D 256/);
    expect(text).toMatch(/device cuda:1 .*cannot be used: E_DEVICE: out of order/);
    expect(text).toMatch(/device 'auto' +cuda:0/);
    expect(formatFindings(judge(healthy))).toMatch(/device 'auto' +cpu/);
  });

  it('notes a driver that is too old for CUDA 13', () => {
    expect(levels({ ...healthy, nvidiaDriver: '550.54' })['NVIDIA driver']).toBe('note');
  });
});
