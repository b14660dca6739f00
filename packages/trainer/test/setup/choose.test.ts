import { describe, expect, it } from 'vitest';

import { chooseSources, sourceKey, WHEEL_VERSION } from '../../setup/choose.mjs';
import { cudaRequirements } from '../../setup/libtensorflow.mjs';
import type { SetupEnvironment } from '../../setup/setup-tensorflow.mjs';

const full = {
  platform: 'linux',
  arch: 'x64',
  nodeAbi: '115',
  nodeVersion: '20.0.0',
  cache: '/cache/tensorflow',
  python: '/usr/bin/python3',
  compiler: '/usr/bin/g++',
  tar: '/usr/bin/tar',
  nvidiaGpu: false,
};
const kinds = (environment: SetupEnvironment, options = {}) =>
  chooseSources(environment, options).sources.map((source) =>
    source.kind === 'wheel' ? `wheel-${source.variant}` : source.kind,
  );

describe('chooseSources', () => {
  it('prefers the wheel for the CPU, then the archive', () => {
    expect(kinds(full)).toEqual(['wheel-cpu', 'archive']);
  });

  it('puts the CUDA wheel first where there is an NVIDIA GPU, unless --cpu', () => {
    expect(kinds({ ...full, nvidiaGpu: true })).toEqual(['wheel-cuda', 'wheel-cpu', 'archive']);
    expect(kinds({ ...full, nvidiaGpu: true }, { cpu: true })).toEqual(['wheel-cpu', 'archive']);
  });

  it('uses only the folder that the user names, the option before the environment', () => {
    const environment = { ...full, libtensorflow: '/from/environment' };
    expect(chooseSources(environment, {}).sources).toEqual([{ kind: 'folder', folder: '/from/environment' }]);
    expect(chooseSources(environment, { libtensorflow: '/from/option' }).sources).toEqual([
      { kind: 'folder', folder: '/from/option' },
    ]);
  });

  it('goes without python to the archive, and says so', () => {
    const choice = chooseSources({ ...full, python: undefined });
    expect(choice.sources.map((source) => source.kind)).toEqual(['archive']);
    expect(choice.obstacles).toEqual([expect.stringContaining('apt-get install python3-venv')]);
  });

  it('knows of no archive for arm64, unless an address is given', () => {
    expect(kinds({ ...full, arch: 'arm64' })).toEqual(['wheel-cpu']);
    expect(kinds({ ...full, arch: 'arm64', archiveUrl: 'https://example.org/tf.tar.gz' })).toEqual([
      'wheel-cpu',
      'archive',
    ]);
  });

  it.each([
    ['another platform', { ...full, platform: 'darwin' }, 'Linux only'],
    ['no compiler', { ...full, compiler: undefined }, 'apt-get install g++'],
  ])('has nothing to offer on %s, and says why', (_, environment, words) => {
    const choice = chooseSources(environment, { libtensorflow: '/anything' });
    expect(choice.sources).toEqual([]);
    expect(choice.obstacles).toEqual([expect.stringContaining(words)]);
  });
});

describe('sourceKey', () => {
  it('tells versions, variants and machines apart', () => {
    const wheel = { kind: 'wheel', variant: 'cpu' } as const;
    expect(sourceKey(wheel, full, String)).toBe(`wheel-cpu-${WHEEL_VERSION}-linux-x64`);
    expect(sourceKey({ kind: 'wheel', variant: 'cuda' }, full, String)).not.toBe(sourceKey(wheel, full, String));
    expect(sourceKey(wheel, { ...full, arch: 'arm64' }, String)).not.toBe(sourceKey(wheel, full, String));
  });
});

describe('cudaRequirements', () => {
  it('takes the requirements of the and-cuda extra alone', () => {
    const metadata = [
      'Requires-Dist: numpy>=1.26',
      'Requires-Dist: nvidia-cudnn-cu12<10.0,>=9.3.0.75; extra == "and-cuda"',
      "Requires-Dist: nvidia-nccl-cu12 (<3.0,>=2.27.7) ; extra == 'and-cuda'",
      'Requires-Dist: something; extra == "gcs"',
    ].join('\n');
    expect(cudaRequirements(metadata)).toEqual([
      'nvidia-cudnn-cu12<10.0,>=9.3.0.75',
      'nvidia-nccl-cu12(<3.0,>=2.27.7)',
    ]);
  });
});
