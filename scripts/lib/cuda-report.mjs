// `node scripts/native.mjs cuda-report [--write]`: what ptxas made of every kernel of the addon's own build, against the committed table
// (native/cuda-report/kernels.json), and whether the tensor-core kernels hold the instructions that they should.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { compileCommands, compilePtx, compilerOf, cudaSources, output } from './cuda-ptx.mjs';
import { byArchitecture, differences, faults, tableJson, tableMarkdown } from './kernel-table.mjs';
import { kernelsOfPtx, missingInstructions } from './ptx.mjs';
import { parsePtxas, shortName } from './ptxas.mjs';

const PAGE = `# Registers, stack and shared memory of every kernel

Written by \`node scripts/native.mjs cuda-report --write\` from what ptxas says when the addon is built; \`npm test\` fails when a build differs. Registers
are a thread's, by architecture; static shared memory is a block's, the stack a thread's (the largest over the architectures). Dynamic shared memory is
asked for at the launch: see each kernel's page.
`;

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

/** Kernels of a source as PTX for one architecture, by name. */
function ptxOf(source, architecture, commands) {
  const folder = mkdtempSync(join(tmpdir(), 'hyperarc-ptx-'));
  try {
    const file = join(folder, 'kernels.ptx');
    if (!compilePtx(source, architecture, commands, file)) return undefined;
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
  const nvcc = compilerOf(build);
  if (!nvcc) {
    console.log('cuda-report: SKIPPED: the addon was built without nvcc, so there are no kernels to report on');
    return true;
  }
  const version = /V(\d+\.\d+\.\d+)/.exec(output(nvcc, ['--version']))[1];
  const { kernels, remarks } = readReports(native, build);
  const architectures = [...new Set(Object.values(kernels).flatMap((entry) => Object.keys(entry)))].sort(
    byArchitecture,
  );
  const commands = compileCommands(build);

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
