import { describe, it } from 'vitest';

import { addonStatus, listDevices, type DeviceInfo } from '../../dist/index.js';

/** Where HYPERARC_REQUIRE_CUDA is set, a machine without a CUDA device fails these tests instead of skipping them. */
const isRequired = Boolean(process.env['HYPERARC_REQUIRE_CUDA']);

/** The first CUDA device, a real one or that of the host harness. */
export const cuda: DeviceInfo | undefined = listDevices().find(({ kind }) => kind === 'cuda');

/** Whether the addon runs its kernels in the host harness (native/tests/emulator). */
export const isEmulated = (addonStatus().buildDescription ?? '').includes('emulated');

/** `describe` where there is a CUDA device; else one skipped test that says why there is none. */
export function describeCuda(name: string, body: () => void): void {
  if (cuda !== undefined) {
    describe(name, body);
  } else if (isRequired) {
    describe(name, () =>
      it('has a CUDA device', () => {
        throw new Error(`no CUDA device: ${addonStatus().whyNoCuda ?? addonStatus().error}`);
      }),
    );
  } else {
    describe.skip(`${name}: ${addonStatus().whyNoCuda}`, () => it('skipped', () => {}));
  }
}
