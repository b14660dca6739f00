import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

/** Packages that run ONNX models, the faster first. Neither is a dependency: they are looked for when a model is opened. */
const RUNTIMES = ['onnxruntime-node', 'onnxruntime-web'];

/** The part of onnxruntime-common that is used. */
interface Runtime {
  readonly env: { logLevel?: string; versions: { common: string }; wasm: { numThreads?: number } };
  readonly Tensor: new (type: 'float32', values: Float32Array, shape: readonly number[]) => object;
  readonly InferenceSession: {
    create(model: Uint8Array, options: { logSeverityLevel: number }): Promise<RuntimeSession>;
  };
}

interface RuntimeSession {
  /** Since 1.22. Sizes that are left open are names, or not positive. */
  readonly inputMetadata?: readonly { name: string; type?: string; shape?: readonly (number | string)[] }[];
  readonly outputNames: readonly string[];
  run(
    inputs: Record<string, object>,
  ): Promise<Record<string, { type: string; dims: readonly number[]; data: Float32Array }>>;
  release(): Promise<void>;
}

export interface SessionOutput {
  readonly name: string;
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

/** Errors only: exports whose stated sizes are not those of the input would be warned of with every image. */
const ERRORS_ONLY = 3;

/** An ONNX model with one input of images. One inference runs at a time: the runtime has threads of its own, where it has any. */
export class OnnxSession {
  private last: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly path: string,
    private readonly runtime: Runtime,
    private readonly session: RuntimeSession,
    /** `onnxruntime-node 1.22.0`. */
    readonly by: string,
    private readonly inputName: string,
    /** Of [1, 3, height, width]; null where the model leaves it open. */
    readonly inputSize: readonly [height: number | null, width: number | null],
  ) {}

  /**
   * Opens a model in the first runtime that is installed.
   * @param onWarning is told why an installed one was passed over
   * @throws HyperArcError E_FORMAT for a file that cannot be read, is refused by the runtime, or does not have one float32 input [1, 3, H, W];
   *   E_DEVICE without a runtime.
   */
  static async open(
    path: string,
    onWarning: (message: string) => void = () => {},
    packages: readonly string[] = RUNTIMES,
  ): Promise<OnnxSession> {
    let bytes: Uint8Array;
    try {
      bytes = await readFile(path);
    } catch (cause) {
      const reason = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message;
      throw new HyperArcError(
        'E_FORMAT',
        `${path}: expected a readable ONNX file, received ${reason}; check the path`,
        {
          cause,
        },
      );
    }
    const { runtime, by } = await loadRuntime(packages, onWarning);
    let session: RuntimeSession;
    try {
      session = await runtime.InferenceSession.create(bytes, { logSeverityLevel: ERRORS_ONLY });
    } catch (cause) {
      const reason = firstLine(cause);
      throw new HyperArcError(
        'E_FORMAT',
        `${path}: expected an ONNX model, received ${bytes.length} bytes that ${by} refuses (${reason}); fetch the file again`,
        { cause },
      );
    }
    const { name, size } = inputOf(session, path, by);
    return new OnnxSession(path, runtime, session, by, name, size);
  }

  /** @param values float32 [1, 3, height, width]. @throws HyperArcError E_FORMAT with the runtime's message if it fails. */
  run(values: Float32Array, height: number, width: number): Promise<SessionOutput[]> {
    const result = this.last.then(async () => {
      const inputs = { [this.inputName]: new this.runtime.Tensor('float32', values, [1, 3, height, width]) };
      const outputs = await this.session.run(inputs).catch((cause: unknown) => {
        throw new HyperArcError(
          'E_FORMAT',
          `${this.path}: expected a model that takes float32 [1, 3, ${height}, ${width}], received a failure of ${this.by} (${firstLine(cause)})`,
          { cause },
        );
      });
      return this.session.outputNames.map((name): SessionOutput => {
        const { type, dims, data } = outputs[name]!;
        if (type !== 'float32') {
          throw new HyperArcError(
            'E_FORMAT',
            `${this.path}: expected outputs of float32, received ${type} as ${name}; export the model in float32`,
          );
        }
        return { name, dims, data };
      });
    });
    this.last = result.catch(() => {});
    return result;
  }

  async close(): Promise<void> {
    await this.last;
    await this.session.release();
  }
}

/** What a runtime says can be many lines, with places in its own source. */
const firstLine = (cause: unknown): string =>
  String((cause as Error).message)
    .split('\n')[0]!
    .slice(0, 200);

function inputOf(
  { inputMetadata }: RuntimeSession,
  path: string,
  by: string,
): { name: string; size: [number | null, number | null] } {
  if (inputMetadata === undefined) {
    throw new HyperArcError(
      'E_DEVICE',
      `${by}: expected version 1.22 or newer; npm install ${by.split(' ')[0]}@latest`,
    );
  }
  const found = inputMetadata.map(
    ({ name, type, shape }) => `${name} ${type ?? 'no tensor'} [${shape?.join(', ') ?? ''}]`,
  );
  const [input] = inputMetadata;
  const open = (size: number | string): number | null => (typeof size === 'number' && size > 0 ? size : null);
  const [batch, channels, height, width] = (input?.shape ?? []).map(open);
  const fits = [null, 1].includes(batch ?? null) && [null, 3].includes(channels ?? null) && input?.shape?.length === 4;
  if (input === undefined || inputMetadata.length !== 1 || input.type !== 'float32' || !fits) {
    throw new HyperArcError(
      'E_FORMAT',
      `${path}: expected one input of float32 [1, 3, height, width], received ${found.join(' and ') || 'none'}; take a face detector as it was exported from PyTorch`,
    );
  }
  return { name: input.name, size: [height ?? null, width ?? null] };
}

const require = createRequire(import.meta.url);

/** The package that a detector would run in, which is not loaded; undefined where none is installed. */
export const installedRuntime = (): string | undefined => RUNTIMES.find(isInstalled);

/** What puts one there: its own install script would fetch CUDA libraries. */
export const INSTALL_RUNTIME = 'npm install --ignore-scripts onnxruntime-node';

function isInstalled(name: string): boolean {
  try {
    require.resolve(name);
    return true;
  } catch {
    return false;
  }
}

async function loadRuntime(
  packages: readonly string[],
  onWarning: (message: string) => void,
): Promise<{ runtime: Runtime; by: string }> {
  for (const name of packages) {
    if (!isInstalled(name)) continue;
    try {
      const runtime = (await import(name)) as Runtime;
      // Threads of its own would keep the process alive.
      runtime.env.wasm.numThreads = 1;
      runtime.env.logLevel = 'error';
      return { runtime, by: `${name} ${runtime.env.versions.common}` };
    } catch (cause) {
      onWarning(`${name} is installed and does not load: ${firstLine(cause)}`);
    }
  }
  throw new HyperArcError(
    'E_DEVICE',
    `onnxruntime: expected the npm package onnxruntime-node or onnxruntime-web for --detector, received neither; ${INSTALL_RUNTIME}`,
  );
}
