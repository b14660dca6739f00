// `node scripts/native.mjs cuda-report [--write]`: what ptxas made of every kernel of the addon's own build, against the committed table
// (native/cuda-report/kernels.json), and whether the tensor-core kernels hold the instructions that they should.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { byArchitecture, differences, faults, tableJson, tableMarkdown } from './kernel-table.mjs';
import { kernelsOfPtx, missingInstructions } from './ptx.mjs';
import { parsePtxas, shortName } from './ptxas.mjs';

const PAGE = `# Registers, stack and shared memory of every kernel

Written by \`node scripts/native.mjs cuda-report --write\` from what ptxas says when the addon is built; \`npm test\` fails when a build differs. Registers
are a thread's, by architecture; static shared memory is a block's, the stack a thread's (the largest over the architectures). Dynamic shared memory is
asked for at the launch: see each kernel's page.
`;

function output(command, args, input) {
  const result = spawnSync(command, args, { input, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (result.error) throw result.error;
  if (result.status !== 0)
    throw new Error(`${command} ${args.join(' ')} ended with ${result.status}\n${result.stderr}`);
  return result.stdout;
}

function cudaSources(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.cu'))
    .sort();
}

/** Short names of mangled symbols, by symbol. */
function demangle(symbols) {
  const names = output('c++filt', [], symbols.join('\n')).split('\n');
  return new Map(symbols.map((symbol, i) => [symbol, shortName(names[i])]));
}

/** The reports of all sources: kernels by name, remarks with their file. */
function readReports(native, build) {
  const kernels = {};
  const remarks = [];
  for (const source of cudaSources(join(native, 'src/cuda/kernels'))) {
    const target = source.startsWith('wgmma/') ? 'hyperarc_wgmma' : 'hyperarc_cuda';
    const file = join(build, 'src/cuda/CMakeFiles', `${target}.dir/kernels/${source}.o.ptxas`);
    if (!existsSync(file)) {
      if (target === 'hyperarc_wgmma') continue; // a build without sm_90a
      throw new Error(
        `${relative(native, file)}: expected ptxas's report of kernels/${source}, found none; build the addon anew`,
      );
    }
    const report = parsePtxas(readFileSync(file, 'utf8'));
    const names = demangle([...new Set(report.kernels.map(({ symbol }) => symbol))]);
    for (const { symbol, architecture, resources } of report.kernels) {
      const kernel = (kernels[`${source}: ${names.get(symbol)}`] ??= {});
      if (kernel[architecture]) throw new Error(`${source}: two kernels are called ${names.get(symbol)}`);
      kernel[architecture] = resources;
    }
    remarks.push(...report.remarks.map((remark) => `${source}: ${remark}`));
  }
  return { kernels, remarks };
}

/** PTX of a source, compiled by the addon's own command for one architecture. */
function ptxOf(source, architecture, commands) {
  const entry = commands.find(({ file }) => file.endsWith(`/kernels/${source}`));
  if (!entry) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'hyperarc-ptx-'));
  try {
    const words = entry.command.split(/\s+/);
    const compiler = words.findIndex((word) => /nvcc$/.test(word));
    const kept = words.slice(compiler + 1).filter((word) => /^(-I|-D|-isystem|-std|-ccbin)/.test(word));
    const file = join(folder, 'kernels.ptx');
    output(words[compiler], [...kept, '-O3', `-arch=compute_${architecture}`, '--ptx', entry.file, '-o', file]);
    const kernels = kernelsOfPtx(readFileSync(file, 'utf8'));
    const names = demangle([...kernels.keys()]);
    return new Map([...kernels].map(([symbol, text]) => [names.get(symbol), text]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Sources with tensor-core kernels must have rules; then every rule must hold. */
function checkInstructions(native, commands) {
  const rules = JSON.parse(readFileSync(join(native, 'cuda-report/instructions.json'), 'utf8'));
  const problems = cudaSources(join(native, 'src/cuda/kernels'))
    .filter((source) => /^(mma|wgmma)\//.test(source) && !rules.some((rule) => rule.source === source))
    .map((source) => `${source}: expected rules in native/cuda-report/instructions.json, found none`);
  for (const { source, architecture, rules: wanted } of rules) {
    const kernels = ptxOf(source, architecture, commands);
    if (kernels) problems.push(...missingInstructions(kernels, wanted).map((problem) => `${source}: ${problem}`));
    else if (!source.startsWith('wgmma/')) problems.push(`${source}: has rules and is no source`);
  }
  return problems;
}

/**
 * @param {string} root   the checkout
 * @param {string} build  the addon's build folder, up to date
 * @param {boolean} write  take the build's numbers for the committed ones
 * @returns {boolean} whether all is as it should be; what is not is said on standard error
 */
export function cudaReport(root, build, write) {
  const native = join(root, 'native');
  const cache = readFileSync(join(build, 'CMakeCache.txt'), 'utf8');
  const nvcc = /^CMAKE_CUDA_COMPILER:[^=]*=(.*)$/m.exec(cache)?.[1];
  if (!nvcc || nvcc.endsWith('NOTFOUND') || /^HYPERARC_CUDA:[^=]*=OFF$/m.test(cache)) {
    console.log('cuda-report: SKIPPED: the addon was built without nvcc, so there are no kernels to report on');
    return true;
  }
  const version = /V(\d+\.\d+\.\d+)/.exec(output(nvcc, ['--version']))[1];
  const { kernels, remarks } = readReports(native, build);
  const architectures = [...new Set(Object.values(kernels).flatMap((entry) => Object.keys(entry)))].sort(
    byArchitecture,
  );
  const commands = JSON.parse(readFileSync(join(build, 'compile_commands.json'), 'utf8'));

  const file = join(native, 'cuda-report/kernels.json');
  const committed = JSON.parse(readFileSync(file, 'utf8'));
  const problems = [...faults(kernels, committed.mayUseStack), ...remarks, ...checkInstructions(native, commands)];
  const changes = differences(committed, { nvcc: version, kernels }, architectures);
  if (write) {
    const table = { nvcc: version, mayUseStack: committed.mayUseStack, kernels };
    writeFileSync(file, tableJson(table));
    mkdirSync(join(root, 'docs/kernels'), { recursive: true });
    writeFileSync(join(root, 'docs/kernels/resources.md'), `${PAGE}\nnvcc ${version}.\n\n${tableMarkdown(table)}\n`);
    for (const line of changes) console.log(`cuda-report: ${line}`);
  } else {
    problems.push(...changes);
  }
  for (const problem of problems) console.error(`cuda-report: ${problem}`);
  if (changes.length > 0 && !write) {
    console.error('cuda-report: if the kernels were meant to change: node scripts/native.mjs cuda-report --write');
  }
  const note =
    committed.nvcc === version || write ? '' : ` (registers not compared: the table is of nvcc ${committed.nvcc})`;
  const count = Object.keys(kernels).length;
  console.log(
    `cuda-report: ${count} kernels for sm_${architectures.join(', sm_')} by nvcc ${version}${note}: ${problems.length} problems`,
  );
  return problems.length === 0;
}
