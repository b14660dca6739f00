/* eslint-disable @typescript-eslint/no-require-imports -- a CommonJS program */
import kernels = require('@hyperarc/kernels-cuda');
import reference = require('@hyperarc/kernels-cuda/reference');

const status: kernels.AddonStatus = kernels.addonStatus();
if (status.loaded) {
  const centers = kernels.ClassCenters.create({ classes: 5, dim: 3, device: 'cpu', seed: 7n, stddev: 1 });
  const rows = centers.readRows(0, 5);
  const expected = reference.seedRows(7n, 1, 0, 5, 3);
  console.log(
    'seeded',
    rows.every((value, e) => Math.abs(value - (expected[e] ?? NaN)) < 1e-6),
  );
  centers.dispose();
} else {
  try {
    kernels.openDevice('cpu');
  } catch (error) {
    console.log((error as Error).message);
  }
}
