// See scripts/bundle and docs/air-gapped.md.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { buildAddon } from './addon.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
/** What fits through where such bundles have to go. */
const MOST_BYTES = 64 * 1024 * 1024;
const HELP = `usage: scripts/bundle [--arch LIST] [--output FOLDER] [--addon FILE] [--no-archive]

  Makes FOLDER (dist/hyperarc-bundle-COMMIT by default) and FOLDER.tar.xz: everything that proves and measures HyperArc's engine on a
  machine with no Node and no network. docs/air-gapped.md.

  --arch LIST     CUDA architectures as CMake names them, e.g. 90a-real (default) or "80-real;90a-real"
  --addon FILE    take this hyperarc.node instead of building one; the bundle is then without the C++ tests
  --no-archive    the folder alone`;

const fail = (line) => {
  console.error(`bundle: ${line}`);
  process.exit(1);
};

function readOptions() {
  try {
    return parseArgs({
      options: {
        arch: { type: 'string', default: '90a-real' },
        output: { type: 'string' },
        addon: { type: 'string' },
        'no-archive': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    return fail(`${error.message}\n${HELP}`);
  }
}
const options = readOptions();
const run = (command, args) => execFileSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 });

/** The commit, with "-changed" where tracked files differ from it. */
function commitName() {
  const isChanged = run('git', ['status', '--porcelain', '--untracked-files=no']).trim() !== '';
  return run('git', ['rev-parse', 'HEAD']).trim() + (isChanged ? '-changed' : '');
}

/** The newest version of glibc that a program asks for, e.g. "2.36": it runs on that one and all later ones. */
function glibcFloor(files) {
  const versions = files.flatMap((file) =>
    [...run('objdump', ['-T', file]).matchAll(/GLIBC_(\d+)\.(\d+)/g)].map(([, major, minor]) => [+major, +minor]),
  );
  return versions.reduce((a, b) => ((b[0] - a[0] || b[1] - a[1]) > 0 ? b : a)).join('.');
}

function* filesOf(folder) {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) yield join(entry.parentPath, entry.name);
  }
}

/** Programs as single files; `require` stays for the addon, which the loader asks for by path. */
async function bundlePrograms(folder) {
  const banner =
    "import { createRequire as nodeRequire } from 'node:module'; const require = nodeRequire(import.meta.url);";
  const programs = {
    'app/test.mjs': 'packages/kernels-cuda/test/gpu/main.ts',
    'app/info.mjs': 'packages/kernels-cuda/test/gpu/info.ts',
    'app/all.mjs': 'packages/bench/dist/gpu/all.js',
    'app/bench.mjs': 'packages/bench/dist/gpu/main.js',
    'lib/kernels-cuda.mjs': 'packages/kernels-cuda/dist/index.js',
    'lib/reference.mjs': 'packages/kernels-cuda/dist/reference/index.js',
  };
  for (const [outfile, entry] of Object.entries(programs)) {
    await build({
      entryPoints: [join(root, entry)],
      outfile: join(folder, outfile),
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      banner: { js: banner },
      logLevel: 'warning',
    });
  }
}

if (options.help) {
  console.log(HELP);
  process.exit(0);
}
if (process.platform !== 'linux')
  fail(`expected Linux, as the machine that the bundle is for; this is ${process.platform}`);
run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b']);
const cmakeOptions = {
  HYPERARC_CUDA: 'ON',
  HYPERARC_CUDA_ARCHITECTURES: options.arch,
  HYPERARC_BUILD_TESTS: 'ON',
};
const addon = options.addon ? resolve(options.addon) : buildAddon(root, 'build-bundle', cmakeOptions);
if (!existsSync(addon)) fail(`--addon: expected a hyperarc.node, found none at ${addon}`);

const commit = commitName();
const folder = resolve(options.output ?? join(root, 'dist', `hyperarc-bundle-${commit.slice(0, 12)}`));
if (existsSync(folder) && !existsSync(join(folder, 'manifest.json')) && readdirSync(folder).length > 0) {
  fail(`--output: expected an empty folder or an older bundle, ${folder} is neither`);
}
rmSync(folder, { recursive: true, force: true });
for (const name of ['app', 'bin', 'lib', 'peers', 'vectors']) mkdirSync(join(folder, name), { recursive: true });

copyFileSync(process.execPath, join(folder, 'bin', 'node'));
copyFileSync(addon, join(folder, 'hyperarc.node'));
const binaries = ['bin/node', 'hyperarc.node'];
if (!options.addon) {
  copyFileSync(join(root, 'native', 'build-bundle', 'tests', 'hyperarc_tests'), join(folder, 'bin', 'hyperarc_tests'));
  binaries.push('bin/hyperarc_tests');
}
for (const file of binaries) {
  chmodSync(join(folder, file), 0o755);
  run('strip', ['--strip-unneeded', join(folder, file)]);
}
await bundlePrograms(folder);
for (const name of ['gpu_head.py', 'gpu_rates.py', 'triton_cce.py', 'check_gpu_head.py']) {
  copyFileSync(join(root, 'packages', 'bench', 'peers', name), join(folder, 'peers', name));
}
const vectors = join(root, 'packages', 'kernels-cuda', 'test', 'vectors');
cpSync(vectors, join(folder, 'vectors'), {
  recursive: true,
  filter: (path) => path === vectors || path.endsWith('.json'),
});
copyFileSync(join(root, 'docs', 'air-gapped.md'), join(folder, 'README.md'));
copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));

const glibc = glibcFloor(binaries.map((file) => join(folder, file)));
const script = readFileSync(join(root, 'scripts', 'lib', 'bundle', 'run.sh'), 'utf8');
writeFileSync(join(folder, 'run'), script.replace('@COMMIT@', commit).replace('@GLIBC@', glibc), { mode: 0o755 });
const description = run(process.execPath, [
  '-p',
  `require(${JSON.stringify(join(folder, 'hyperarc.node'))}).buildDescription`,
]);
const manifest = {
  format: 'hyperarc-bundle-1',
  commit,
  addon: description.trim(),
  node: process.version,
  glibc: `${glibc} or newer`,
};
writeFileSync(join(folder, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
const sums = [...filesOf(folder)].sort().map((file) => {
  const sum = createHash('sha256').update(readFileSync(file)).digest('hex');
  return `${sum}  ${relative(folder, file)}\n`;
});
writeFileSync(join(folder, 'SHA256SUMS'), sums.join(''));
console.log(JSON.stringify(manifest, null, 2));
console.log(`bundle: ${folder}`);

if (!options['no-archive']) {
  const archive = `${folder}.tar.xz`;
  run('tar', ['-C', dirname(folder), '-I', 'xz -6 -T0', '-cf', archive, relative(dirname(folder), folder)]);
  const { size } = statSync(archive);
  console.log(`bundle: ${archive} (${(size / 2 ** 20).toFixed(1)} MiB)`);
  if (size > MOST_BYTES)
    fail(`expected at most ${MOST_BYTES / 2 ** 20} MiB, received ${(size / 2 ** 20).toFixed(1)}; name fewer --arch`);
}
