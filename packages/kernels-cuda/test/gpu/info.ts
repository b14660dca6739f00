/** `run info` of a bundle: what it is, and what the engine finds on this machine. */
import { readFileSync } from 'node:fs';
import { addonStatus, listDevices, openDevice } from '../../dist/index.js';

const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;

try {
  console.log(readFileSync(new URL('../manifest.json', import.meta.url), 'utf8').trim());
} catch {
  console.log('no manifest.json: this is no bundle');
}
const status = addonStatus();
if (!status.loaded) {
  console.error(`addon: ${status.error}`);
  process.exit(1);
}
console.log(`addon: ${status.buildDescription}`);
console.log(status.whyNoCuda ? `CUDA: not used: ${status.whyNoCuda}` : 'CUDA: usable');
for (const { kind, index } of listDevices()) {
  const name = kind === 'cpu' ? 'cpu' : (`cuda:${index}` as const);
  const device = openDevice(name);
  const { info } = device;
  console.log(
    `${name}: ${info.name} (${info.instructionSet}), ${gigabytes(info.totalMemoryBytes)}, ${gigabytes(info.freeMemoryBytes)} free`,
  );
  for (const precision of kind === 'cpu' ? (['fp32'] as const) : (['fp32', 'bf16', 'bf16-master'] as const)) {
    const centers = device.createCenters({ classes: 1024, dim: 512, precision });
    console.log(`  D = 512, ${precision}: ${centers.kernels(1024)}`);
    centers.dispose();
  }
  device.dispose();
}
