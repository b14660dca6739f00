// PTX of the CUDA kernels, by the addon's own compile commands.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { kernelsOfPtx } from './ptx.mjs';

/** Runs a command and gives what it writes. */
export function output(command, args, input) {
  const result = spawnSync(command, args, { input, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (result.error) throw result.error;
  if (result.status !== 0)
    throw new Error(`${command} ${args.join(' ')} ended with ${result.status}\n${result.stderr}`);
  return result.stdout;
}

/** The .cu files below a folder, as relative paths. */
export function cudaSources(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.cu'))
    .sort();
}

/** nvcc of an addon's build folder, or undefined where it was built without. */
export function compilerOf(build) {
  const cache = readFileSync(join(build, 'CMakeCache.txt'), 'utf8');
  const nvcc = /^CMAKE_CUDA_COMPILER:[^=]*=(.*)$/m.exec(cache)?.[1];
  return !nvcc || nvcc.endsWith('NOTFOUND') || /^HYPERARC_CUDA:[^=]*=OFF$/m.test(cache) ? undefined : nvcc;
}

/** @returns {{file: string, command: string}[]} how each file of the addon was compiled */
export function compileCommands(build) {
  return JSON.parse(readFileSync(join(build, 'compile_commands.json'), 'utf8'));
}

/**
 * Compiles kernels/`source` to PTX for one architecture.
 * @returns {boolean} false where the build does not have that source
 */
export function compilePtx(source, architecture, commands, file) {
  const entry = commands.find((command) => command.file.endsWith(`/kernels/${source}`));
  if (!entry) return false;
  const words = entry.command.split(/\s+/);
  const compiler = words.findIndex((word) => /nvcc$/.test(word));
  const kept = words.slice(compiler + 1).filter((word) => /^(-I|-D|-isystem|-std|-ccbin)/.test(word));
  output(words[compiler], [...kept, '-O3', `-arch=compute_${architecture}`, '--ptx', entry.file, '-o', file]);
  return true;
}

/**
 * PTX of all kernels in `folder`, which is made anew.
 * @returns {string[]} sources that the build does not have
 */
export function writeAllPtx(native, build, architecture, folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const commands = compileCommands(build);
  return cudaSources(join(native, 'src/cuda/kernels')).filter((source) => {
    const file = join(folder, `${source.replace(/\.cu$/, '').replaceAll('/', '-')}.ptx`);
    return !compilePtx(source, architecture, commands, file);
  });
}

/** @returns {string[]} mangled names of the kernels in a folder's .ptx files */
export function allKernels(folder) {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.ptx'))
    .flatMap((name) => [...kernelsOfPtx(readFileSync(join(folder, name), 'utf8')).keys()]);
}
