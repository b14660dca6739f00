import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { HyperArcError } from '@hyperarc/kernels-cuda';

import { MANIFEST_NAME } from '../checkpoint/manifest.js';
import { formatConfig, loadConfig, type Config } from '../config/index.js';
import { makeFolder, writeAtomically } from '../files.js';

/** A folder that CheckpointStore wrote: it has a config.yaml, as a run has. */
export const isCheckpoint = (path: string): boolean => existsSync(join(path, MANIFEST_NAME));

/** Where a run keeps its things. */
export class RunFolder {
  private constructor(readonly path: string) {}

  /**
   * Makes the next free NAME-001, NAME-002, … in `config.output` and writes the resolved configuration into it.
   * @throws HyperArcError E_RANGE if `config.output` is no folder that can be written.
   */
  static create(config: Config): RunFolder {
    try {
      return RunFolder.#createNext(config);
    } catch (cause) {
      const { code, syscall } = cause as NodeJS.ErrnoException;
      if (syscall === undefined) throw cause;
      throw new HyperArcError(
        'E_RANGE',
        `output: expected a folder that can be written, received ${config.output} (${code}); give another one with output=FOLDER`,
        { cause },
      );
    }
  }

  static #createNext(config: Config): RunFolder {
    makeFolder(config.output);
    const numbers = readdirSync(config.output)
      .filter((entry) => entry.startsWith(`${config.name}-`) && /^\d{3,}$/.test(entry.slice(config.name.length + 1)))
      .map((entry) => Number(entry.slice(config.name.length + 1)));
    for (let number = Math.max(0, ...numbers) + 1; ; number++) {
      const path = join(config.output, `${config.name}-${String(number).padStart(3, '0')}`);
      try {
        mkdirSync(path);
      } catch (error) {
        // Another run took the number in between.
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue;
        throw error;
      }
      const run = new RunFolder(path);
      writeAtomically(run.configPath, formatConfig(config));
      return run;
    }
  }

  /** @throws HyperArcError E_FORMAT if `path` is no run folder. */
  static open(path: string): RunFolder {
    const run = new RunFolder(path.replace(/(.)\/+$/, '$1'));
    if (isCheckpoint(path)) {
      const received = `its checkpoint ${basename(run.path)}`;
      throw new HyperArcError(
        'E_FORMAT',
        `run: expected a run folder, received ${received}; give ${dirname(dirname(run.path))}`,
      );
    }
    if (!existsSync(run.configPath)) {
      throw new HyperArcError('E_FORMAT', `run: expected a run folder with a config.yaml, received ${path}`);
    }
    return run;
  }

  /** Removes the folder if the run never began: no checkpoint was saved and no line of metrics written. */
  removeUnstarted(): void {
    const measured = existsSync(this.metricsPath) && statSync(this.metricsPath).size > 0;
    if (!measured && !existsSync(this.checkpointsPath)) rmSync(this.path, { recursive: true });
  }

  get name(): string {
    return basename(this.path);
  }
  get configPath(): string {
    return join(this.path, 'config.yaml');
  }
  get metricsPath(): string {
    return join(this.path, 'metrics.jsonl');
  }
  get eventsPath(): string {
    return join(this.path, 'events');
  }
  get checkpointsPath(): string {
    return join(this.path, 'checkpoints');
  }
  /** The trained backbone as a tfjs model: model.json beside its weights. */
  get modelPath(): string {
    return join(this.path, 'model');
  }

  readConfig(): Config {
    return loadConfig(this.configPath);
  }
}
