export interface SetupState {
  /** Whether @tensorflow/tfjs-node-gpu will load the binding that the set-up built. */
  ready: boolean;
  /** What the last set-up ended with; 'none' when there was none. */
  backend: 'tensorflow' | 'wasm' | 'none';
  /** Why not ready, in a sentence. */
  reason?: string;
  /** Where libtensorflow came from, in words. */
  source?: string;
  tensorflowVersion?: string;
  usesGpu?: boolean;
  binding?: string;
  libraryFolder?: string;
  tfjsVersion?: string;
  fingerprint?: string;
}

export interface SetupOptions {
  libtensorflow?: string;
  cpu?: boolean;
  offline?: boolean;
  force?: boolean;
}

export interface SetupEnvironment {
  /** The installed @tensorflow/tfjs-node-gpu. */
  tfjs?: { folder: string; version: string } | undefined;
  platform: string;
  arch: string;
  nodeAbi: string;
  nodeVersion: string;
  cache: string;
  python?: string | undefined;
  compiler?: string | undefined;
  tar?: string;
  nvidiaGpu: boolean;
  libtensorflow?: string;
  archiveUrl?: string;
}

/** What training on WebAssembly costs, in words. */
export const WASM_COST: string;
/** The same in a phrase. */
export const WASM_SLOWDOWN: string;
/** The command that runs this set-up here. */
export const SETUP_COMMAND: string;
/** Path of the script that loads tfjs-node in a child process and prints its version as JSON. */
export const PROBE: string;
export function readState(environment?: SetupEnvironment): SetupState;
export function setupTensorFlow(
  options?: SetupOptions,
  log?: (line: string) => void,
  environment?: SetupEnvironment,
  probe?: () => { tensorflowVersion: string; usesGpu: boolean },
): Promise<SetupState>;
/** Path of the binding that tfjs-node would load, whoever built it; undefined when there is none. */
export function installedBinding(environment?: SetupEnvironment): string | undefined;
/** Loads tfjs-node in a child process. Throws with the child's last lines when it fails. */
export function probeBinding(): { tensorflowVersion: string; usesGpu: boolean };
export function main(argv: string[]): Promise<number>;
