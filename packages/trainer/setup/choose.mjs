// Which libtensorflow to use: a pure function of the environment and the options.

/** TensorFlow of the Python wheels. Its C API is what @tensorflow/tfjs-node-gpu 4.22's binding compiles against. */
export const WHEEL_VERSION = '2.21.0';
/** Newest C archive that the TensorFlow project publishes (tensorflow.org/install/lang_c). */
export const ARCHIVE_VERSION = '2.18.0';

export const ARCHIVE_URL = `https://storage.googleapis.com/tensorflow/versions/${ARCHIVE_VERSION}/libtensorflow-cpu-linux-x86_64.tar.gz`;

/** Measured with IResNet-18 and MobileFaceNet: 3.4 to 3.5 times the processor time, 4 to 5 times on the clock; docs/tensorflow.md. */
export const WASM_SLOWDOWN = 'about 4 times slower than TensorFlow';
export const WASM_COST = `training then runs on WebAssembly, ${WASM_SLOWDOWN} (measured; docs/tensorflow.md)`;

/**
 * Sources in order of preference, and in words why a preferred one is not possible.
 *
 * @param {ReturnType<import('./environment.mjs').readEnvironment>} environment
 * @param {{libtensorflow?: string, cpu?: boolean, offline?: boolean}} options
 * @returns {{sources: ({kind: 'folder', folder: string} | {kind: 'wheel', variant: 'cpu' | 'cuda'} |
 *   {kind: 'archive', url: string})[], obstacles: string[]}}
 */
export function chooseSources(environment, options = {}) {
  const obstacles = [];
  if (environment.platform !== 'linux') {
    return {
      sources: [],
      obstacles: [`TensorFlow is set up on Linux only, and this is ${environment.platform}`],
    };
  }
  if (!environment.compiler) {
    return {
      sources: [],
      obstacles: ['no C++ compiler was found to build the TensorFlow binding (Debian: apt-get install g++)'],
    };
  }
  // A folder that the user names is the only source: a problem with it must not go unseen behind another one.
  const folder = options.libtensorflow ?? environment.libtensorflow;
  if (folder) return { sources: [{ kind: 'folder', folder }], obstacles };

  const sources = [];
  if (environment.python) {
    if (environment.nvidiaGpu && !options.cpu) sources.push({ kind: 'wheel', variant: 'cuda' });
    sources.push({ kind: 'wheel', variant: 'cpu' });
  } else {
    obstacles.push('no python3 was found to fetch the TensorFlow wheel with (Debian: apt-get install python3-venv)');
  }
  const url = environment.archiveUrl ?? (environment.arch === 'x64' ? ARCHIVE_URL : undefined);
  if (!url) obstacles.push(`the TensorFlow project publishes no C library for ${environment.arch}`);
  else if (!environment.tar) obstacles.push('no tar was found to unpack the TensorFlow C library with');
  else sources.push({ kind: 'archive', url });
  return { sources, obstacles };
}

/** Short, file-name-safe identity of a source's files in the cache. Folders are used in place. */
export function sourceKey(source, environment, hash) {
  const machine = `${environment.platform}-${environment.arch}`;
  if (source.kind === 'wheel') return `wheel-${source.variant}-${WHEEL_VERSION}-${machine}`;
  if (source.kind === 'archive') return `archive-${hash(source.url)}-${machine}`;
  return `folder-${hash(source.folder)}-${machine}`;
}

export function describeSource(source) {
  switch (source.kind) {
    case 'folder':
      return `the folder ${source.folder}`;
    case 'wheel':
      return `the Python wheel tensorflow${source.variant === 'cpu' ? '-cpu' : '[and-cuda]'}==${WHEEL_VERSION}`;
    default:
      return `the archive ${source.url}`;
  }
}
