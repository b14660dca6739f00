import { Command } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { registerSummaryCommand } from '../../dist/cli/commands/summary.js';

function run(...args: string[]): string {
  const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  const program = new Command().exitOverride();
  registerSummaryCommand(program);
  program.parse(['summary', ...args], { from: 'user' });
  return write.mock.calls.map(([text]) => String(text)).join('');
}

describe('hyperarc summary', () => {
  afterEach(() => vi.restoreAllMocks());

  it('prints stages and totals', () => {
    expect(run('mobilefacenet')).toMatchInlineSnapshot(`
      "mobilefacenet: 112×112×3 → 512

      stage   output     layers  parameters  MACs an image
      stem    56×56×128       6       6,528     18,063,360
      stage1  28×28×128      44     174,720    171,501,568
      stage2  14×14×256      62     915,200    195,836,928
      stage3  7×7×256        26     541,184     45,409,280
      head    512             8     421,888      6,709,760
      total   512           146   2,059,520    437,520,896

      2.06 M parameters (0 of them frozen), 0.438 GMACs.
      A training step keeps about 48.1 MB of activations an image (fp32).
      Running statistics are not counted; MACs are those of convolutions, dense layers and attention.
      "
    `);
  });

  it('prints the blocks of a vision transformer', () => {
    const lines = run('vit-t', '--layers').split('\n');
    expect(lines.find((line) => line.startsWith('block12/attention'))).toMatch(
      /144×256 +attention +262,400 +48,365,568$/,
    );
    expect(lines).toContain('19.14 M parameters (0 of them frozen), 1.505 GMACs.');
  });

  it('prints layers, of another size', () => {
    const lines = run('iresnet18', '--layers', '--input-size', '64', '--embedding-size', '128').split('\n');
    expect(lines[0]).toBe('iresnet18: 64×64×3 → 128');
    expect(lines.find((line) => line.startsWith('stage2/block1/conv1'))).toMatch(
      /32×32×128 +conv +73,728 +75,497,472$/,
    );
  });

  it('refuses what is no backbone and no size', () => {
    expect(() => run('iresnet19')).toThrow(/E_RANGE: name: .*received 'iresnet19'/);
    expect(() => run('iresnet18', '--input-size', '100')).toThrow(/E_RANGE: inputSize/);
    expect(() => run('iresnet18', '--input-size', 'big')).toThrow(
      /E_RANGE: --input-size: expected an integer, received 'big'/,
    );
  });
});
