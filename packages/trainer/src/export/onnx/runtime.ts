import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import { ONNX_INPUT, ONNX_OUTPUT } from './export.js';

/** Images as onnxruntime takes them, [N, 3, H, W]. */
export interface RuntimeInput {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export interface RuntimeAnswer {
  /** `onnxruntime 1.22.0 (python3)`. */
  readonly by: string;
  readonly values: ArrayLike<number>;
}

const NOT_THERE = 3;
const PYTHON = `
import json, sys
try:
    import numpy, onnxruntime
except ImportError:
    sys.exit(${NOT_THERE})
shape = [int(size) for size in sys.argv[2].split(',')]
images = numpy.frombuffer(sys.stdin.buffer.read(), '<f4').reshape(shape)
session = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])
(values,) = session.run(['${ONNX_OUTPUT}'], {'${ONNX_INPUT}': images})
json.dump({'version': onnxruntime.__version__, 'values': values.ravel().tolist()}, sys.stdout)
`;

function failed(where: string, message: string): HyperArcError {
  return new HyperArcError('E_FORMAT', `onnxruntime (${where}): expected it to run the model, but ${message}`);
}

/** Runs a model in python3's onnxruntime; null where there is none. */
function runInPython(path: string, { shape, values }: RuntimeInput): RuntimeAnswer | null {
  const input = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  const child = spawnSync('python3', ['-c', PYTHON, path, shape.join(',')], { input, maxBuffer: 1 << 28 });
  if (child.error !== undefined || child.status === NOT_THERE) return null;
  if (child.status !== 0) throw failed('python3', String(child.stderr).trim().split('\n').at(-1) ?? 'it failed');
  const answer = JSON.parse(String(child.stdout)) as { version: string; values: number[] };
  return { by: `onnxruntime ${answer.version} (python3)`, values: answer.values };
}

/** The part of onnxruntime-common that is used. */
interface NodeRuntime {
  env: { versions: { common: string }; wasm: { numThreads?: number } };
  Tensor: new (type: 'float32', values: Float32Array, shape: readonly number[]) => { data: Float32Array };
  InferenceSession: {
    create(model: Uint8Array): Promise<{
      run(inputs: Record<string, object>): Promise<Record<string, { data: Float32Array }>>;
      release(): Promise<void>;
    }>;
  };
}

/** Runs a model in the npm package `name`; null where it is not installed. */
async function runInNode(name: string, path: string, { shape, values }: RuntimeInput): Promise<RuntimeAnswer | null> {
  let runtime: NodeRuntime;
  try {
    runtime = (await import(name)) as NodeRuntime;
  } catch {
    return null;
  }
  // Threads of its own would keep the process alive.
  runtime.env.wasm.numThreads = 1;
  try {
    const session = await runtime.InferenceSession.create(readFileSync(path));
    const outputs = await session.run({ [ONNX_INPUT]: new runtime.Tensor('float32', values, shape) });
    const answer = { by: `${name} ${runtime.env.versions.common}`, values: outputs[ONNX_OUTPUT]!.data };
    await session.release();
    return answer;
  } catch (error) {
    throw failed(name, (error as Error).message);
  }
}

/**
 * Runs an ONNX file in every onnxruntime of this machine: python3's, and the npm packages onnxruntime-node and onnxruntime-web.
 * @throws HyperArcError E_FORMAT with its message if one does not take the model.
 */
export async function runInOnnxRuntimes(path: string, input: RuntimeInput): Promise<RuntimeAnswer[]> {
  const answers = [runInPython(path, input)];
  for (const name of ['onnxruntime-node', 'onnxruntime-web']) answers.push(await runInNode(name, path, input));
  return answers.filter((answer) => answer !== null);
}
