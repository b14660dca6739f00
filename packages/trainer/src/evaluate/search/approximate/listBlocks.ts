import { ClassCenters, openDevice, type Device, type DeviceSpec } from '@hyperarc/kernels-cuda';
import { GALLERY_ROWS, PROBE_ROWS } from '../cosineBlocks.js';
import type { Features } from '../features.js';
import { oneAhead } from '../oneAhead.js';
import type { ScatteredBlock } from '../topK.js';
import type { InvertedFile } from './invertedFile.js';
import { gatherRows } from './sampleRows.js';

/** Some rows of a list and some of the probes that look at it. */
interface Task {
  readonly rows: Int32Array;
  readonly probes: Int32Array;
  /** Whether the task before it has the same rows. */
  readonly sameRows: boolean;
}

/** The cosines of a task. */
interface ListBlock extends Task, ScatteredBlock {}

/**
 * The cosines between each list's rows and the probes that look at it, list by list, one block ahead of the caller. Each row is gathered once. Beside
 * the inputs there are buffers for 4,096 rows, one block of rows, of probes and three of cosines: 40 MB for D = 512.
 *
 * @param probesOf for each list the probes that look at it
 */
export async function* listBlocks(
  index: InvertedFile,
  probes: Features,
  probesOf: readonly Int32Array[],
  device: DeviceSpec,
): AsyncGenerator<ListBlock> {
  const { gallery } = index;
  const tasks = listTasks(index, probesOf);
  const buffers = new RowBuffers(gallery.dim, device);
  let centers: ClassCenters;
  const compute = async (number: number): Promise<ListBlock> => {
    const task = tasks[number]!;
    if (!task.sameRows) {
      centers = buffers.forRows(task.rows.length);
      centers.writeRows(0, gatherRows(gallery.valuesND, gallery.dim, task.rows));
    }
    const stride = centers.shape[0];
    const cosines = await centers.logitsAsync(gatherRows(probes.valuesND, probes.dim, task.probes));
    return { ...task, cosines, stride };
  };
  try {
    yield* oneAhead(tasks.length, compute);
  } finally {
    buffers.dispose();
  }
}

function listTasks({ starts, rows }: InvertedFile, probesOf: readonly Int32Array[]): Task[] {
  const tasks: Task[] = [];
  probesOf.forEach((probes, list) => {
    const end = starts[list + 1]!;
    for (let row = starts[list]!; row < end; row += GALLERY_ROWS) {
      const taken = rows.subarray(row, Math.min(end, row + GALLERY_ROWS));
      for (let probe = 0; probe < probes.length; probe += PROBE_ROWS)
        tasks.push({ rows: taken, probes: probes.subarray(probe, probe + PROBE_ROWS), sameRows: probe > 0 });
    }
  });
  return tasks;
}

/** Buffers of rows on one device, of 64, 128, … 2,048: the engine multiplies a buffer whole, so a short list should not pay for a long one. */
class RowBuffers {
  private readonly bySize = new Map<number, ClassCenters>();
  private readonly device: Device;

  constructor(
    private readonly dim: number,
    spec: DeviceSpec,
  ) {
    this.device = openDevice(spec);
  }

  /** The smallest for `rows` rows. What lies behind them is whatever was there before. */
  forRows(rows: number): ClassCenters {
    const classes = Math.max(64, 2 ** Math.ceil(Math.log2(rows)));
    let buffer = this.bySize.get(classes);
    if (buffer === undefined) {
      buffer = ClassCenters.create({ classes, dim: this.dim, momentum: false, device: this.device });
      this.bySize.set(classes, buffer);
    }
    return buffer;
  }

  dispose(): void {
    for (const buffer of this.bySize.values()) buffer.dispose();
    this.device.dispose();
  }
}
