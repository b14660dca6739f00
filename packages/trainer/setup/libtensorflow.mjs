// Brings a libtensorflow (headers and shared libraries) onto this machine, in the cache.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { sourceKey, WHEEL_VERSION } from './choose.mjs';
import { makeFolder, run, SetupError, shortHash } from './files.mjs';
import { which } from './environment.mjs';

/**
 * Where headers and libraries are in a folder of either layout: a wheel's `tensorflow` folder, or the C archive.
 * @returns {{includeFolder: string, libraryFolder: string, libraries: string[]}}
 */
export function inspectLibrary(folder) {
  const layouts = [
    { libraryFolder: folder, libraries: ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'] },
    { libraryFolder: join(folder, 'lib'), libraries: ['libtensorflow.so.2', 'libtensorflow_framework.so.2'] },
    { libraryFolder: folder, libraries: ['libtensorflow.so.2', 'libtensorflow_framework.so.2'] },
  ];
  const found = layouts.find((layout) =>
    layout.libraries.every((library) => existsSync(join(layout.libraryFolder, library))),
  );
  const includeFolder = join(folder, 'include');
  if (!found || !existsSync(join(includeFolder, 'tensorflow', 'c', 'c_api.h'))) {
    throw new SetupError(
      `libtensorflow: expected a folder with include/tensorflow/c/c_api.h and libtensorflow_cc.so.2 or ` +
        `lib/libtensorflow.so.2 (with libtensorflow_framework.so.2), received ${folder}; name the "tensorflow" ` +
        `folder of a Python installation, or an unpacked libtensorflow archive`,
    );
  }
  return { includeFolder, ...found };
}

/** An identity that changes when the user's folder gets another TensorFlow. */
export function folderIdentity(folder) {
  const { libraryFolder, libraries } = inspectLibrary(folder);
  const { size, mtimeMs } = statSync(join(libraryFolder, libraries[0]));
  return `${resolve(folder)} ${size} ${mtimeMs}`;
}

/** A python with pip: the machine's, else one in a private virtual environment under `temporary`. */
function pythonWithPip(python, temporary) {
  try {
    run(python, ['-m', 'pip', '--version']);
    return python;
  } catch {
    const venv = join(temporary, 'venv');
    try {
      run(python, ['-m', 'venv', venv]);
    } catch (error) {
      throw new SetupError(
        `${python} has neither pip nor venv (Debian: apt-get install python3-venv):\n  ${error.message}`,
      );
    }
    return join(venv, 'bin', 'python');
  }
}

/** Arguments that make a pip of an unsupported Python fetch the wheel of a supported one: only C libraries are used. */
function targetArguments(python, arch) {
  const minor = run(python, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])']).trim();
  if (['3.10', '3.11', '3.12', '3.13'].includes(minor)) return [];
  const machine = arch === 'arm64' ? 'aarch64' : 'x86_64';
  return ['--python-version', '3.12', '--implementation', 'cp', '--abi', 'cp312'].concat(
    ['2_27', '2_17', '2_28'].flatMap((glibc) => ['--platform', `manylinux_${glibc}_${machine}`]),
  );
}

// Only what compiling and running the binding needs: 850 MB of a CPU wheel's 1.3 GB.
const EXTRACT = `
import re, sys, zipfile
wheel, folder = sys.argv[1:]
keep = re.compile(r'tensorflow/include/(tensorflow/(c/|core/platform/ctstring)|tsl/|xla/tsl/).*[.]h$|tensorflow/include/LICENSE$'
                  r'|tensorflow/libtensorflow(_cc|_framework)[.]so[.]2$|nvidia/|.*[.]dist-info/(METADATA|LICENSE.*|License.*)$')
with zipfile.ZipFile(wheel) as archive:
    for entry in archive.infolist():
        if keep.match(entry.filename) and not entry.is_dir():
            archive.extract(entry, folder)
`;

function fetchWheels(python, requirements, arch, folder) {
  const wheels = join(folder, 'wheels');
  run(
    python,
    ['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps', '--no-cache-dir'].concat(
      ['--only-binary=:all:', '--dest', wheels],
      targetArguments(python, arch),
      requirements,
    ),
  );
  for (const wheel of readdirSync(wheels)) run(python, ['-c', EXTRACT, join(wheels, wheel), folder]);
  rmSync(wheels, { recursive: true });
}

/** CUDA libraries that tensorflow[and-cuda] names in its metadata, as pip requirements. */
export function cudaRequirements(metadata) {
  return metadata
    .split('\n')
    .map((line) => /^Requires-Dist: *([^;]+);.*extra == ["']and-cuda["']/.exec(line)?.[1].replace(/\s+/g, ''))
    .filter(Boolean);
}

/** Puts links to every CUDA library beside libtensorflow_cc, whose RUNPATH has $ORIGIN: it finds them when it dlopens. */
function linkCudaLibraries(folder) {
  const nvidia = join(folder, 'nvidia');
  const tensorflow = join(folder, 'tensorflow');
  for (const part of existsSync(nvidia) ? readdirSync(nvidia) : []) {
    const libraries = join(nvidia, part, 'lib');
    if (!existsSync(libraries)) continue;
    for (const file of readdirSync(libraries).filter((name) => /\.so(\.|$)/.test(name))) {
      if (!existsSync(join(tensorflow, file))) {
        symlinkSync(relative(tensorflow, join(libraries, file)), join(tensorflow, file));
      }
    }
  }
}

async function fillFromWheel(source, environment, folder) {
  const scratch = join(folder, 'scratch');
  const python = pythonWithPip(environment.python, scratch);
  const name = source.variant === 'cpu' ? 'tensorflow-cpu' : 'tensorflow';
  fetchWheels(python, [`${name}==${WHEEL_VERSION}`], environment.arch, folder);
  if (source.variant === 'cuda') {
    const info = readdirSync(folder).find((file) => file.endsWith('.dist-info'));
    const requirements = cudaRequirements(readFileSync(join(folder, info, 'METADATA'), 'utf8'));
    fetchWheels(python, requirements, environment.arch, folder);
    linkCudaLibraries(folder);
  }
  rmSync(scratch, { recursive: true, force: true });
}

async function download(url, path) {
  // curl knows of proxies, which Node 20's fetch does not.
  const curl = which('curl');
  if (curl) {
    run(curl, ['--fail', '--silent', '--show-error', '--location', '--retry', '2', '--output', path, url]);
    return;
  }
  let response;
  try {
    response = await fetch(url);
  } catch (error) {
    throw new SetupError(`${url}: ${error.cause?.message ?? error.message}`);
  }
  if (!response.ok) throw new SetupError(`${url}: HTTP status ${response.status}`);
  await writeFile(path, Buffer.from(await response.arrayBuffer()));
}

async function fillFromArchive(source, environment, folder) {
  const archive = join(folder, 'archive.tar.gz');
  await download(source.url, archive);
  const unpacked = join(folder, 'tensorflow');
  mkdirSync(unpacked);
  run(environment.tar, ['-xzf', archive, '-C', unpacked]);
  rmSync(archive);
}

/**
 * The folder of `source` for inspectLibrary, fetched into the cache when it is not there yet.
 * @throws SetupError when it cannot be had.
 */
export async function obtainLibrary(source, environment, options, log) {
  if (source.kind === 'folder') {
    inspectLibrary(source.folder);
    return resolve(source.folder);
  }
  const folder = join(environment.cache, 'libtensorflow', sourceKey(source, environment, shortHash));
  const library = join(folder, 'tensorflow');
  if (options.force || !existsSync(folder)) {
    if (options.offline) throw new SetupError('it is not in the cache, and --offline forbids fetching it');
    log('fetching (some hundred megabytes) …');
    await makeFolder(folder, async (temporary) => {
      if (source.kind === 'wheel') await fillFromWheel(source, environment, temporary);
      else await fillFromArchive(source, environment, temporary);
      inspectLibrary(join(temporary, 'tensorflow'));
    });
  }
  return library;
}
