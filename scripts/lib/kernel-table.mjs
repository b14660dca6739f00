// The committed table of the kernels' resources (native/cuda-report/kernels.json): what a change of it means.

/**
 * kernel ("plain/rows.cu: seedRows<4>") → architecture ("90a") → resources.
 * @typedef {Record<string, Record<string, import('./ptxas.mjs').Resources>>} Kernels
 *
 * @typedef {object} Committed
 * @property {string} nvcc      version that made the numbers
 * @property {Kernels} kernels
 *
 * @typedef {object} MayUseStack   a kernel that may have a stack frame, and why
 * @property {string} kernel       its name or the start of it
 * @property {string} because
 */

const COLUMNS = ['registers', 'stack', 'spills', 'shared'];
const byArchitecture = (a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10);

/**
 * What never may be: a spill, or local memory in a kernel that is not excused.
 * @param {Kernels} kernels
 * @param {MayUseStack[]} mayUseStack
 * @returns {string[]} one sentence for each
 */
export function faults(kernels, mayUseStack) {
  const found = [];
  for (const [kernel, architectures] of Object.entries(kernels)) {
    const isExcused = mayUseStack.some((entry) => kernel.startsWith(entry.kernel));
    for (const [architecture, { stack, spills }] of Object.entries(architectures)) {
      if (spills > 0) found.push(`${kernel} for sm_${architecture}: expected no spills, received ${spills} bytes`);
      else if (stack > 0 && !isExcused)
        found.push(`${kernel} for sm_${architecture}: expected no local memory, received ${stack} bytes a thread`);
    }
  }
  return found;
}

/**
 * How a build differs from the committed table. Architectures that were not built are left alone; register counts of another
 * nvcc are its own business.
 * @param {Committed} committed
 * @param {Committed} built
 * @param {string[]} architectures  that were built
 * @returns {string[]} one line for each difference
 */
export function differences(committed, built, architectures) {
  const lines = [];
  const names = new Set([...Object.keys(committed.kernels), ...Object.keys(built.kernels)]);
  for (const kernel of [...names].sort()) {
    for (const architecture of architectures) {
      const before = committed.kernels[kernel]?.[architecture];
      const now = built.kernels[kernel]?.[architecture];
      const where = `${kernel} for sm_${architecture}`;
      if (before && !now) lines.push(`${where}: is gone`);
      else if (now && !before) lines.push(`${where}: is new (${now.registers} registers, ${now.shared} bytes shared)`);
      else if (now && committed.nvcc === built.nvcc) {
        const changed = COLUMNS.filter((column) => before[column] !== now[column]);
        for (const column of changed) lines.push(`${where}: ${column} ${before[column]} → ${now[column]}`);
      }
    }
  }
  return lines;
}

/** @param {Committed & {mayUseStack: MayUseStack[]}} table  @returns {string} JSON with a line for each kernel and architecture */
export function tableJson({ nvcc, mayUseStack, kernels }) {
  const entries = Object.keys(kernels)
    .sort()
    .map((kernel) => {
      const lines = Object.keys(kernels[kernel])
        .sort(byArchitecture)
        .map(
          (architecture) => `      ${JSON.stringify(architecture)}: ${JSON.stringify(kernels[kernel][architecture])}`,
        );
      return `    ${JSON.stringify(kernel)}: {\n${lines.join(',\n')}\n    }`;
    });
  const excuses = mayUseStack.map((entry) => `    ${JSON.stringify(entry)}`);
  const list = (open, lines, close) => (lines.length > 0 ? `${open}\n${lines.join(',\n')}\n  ${close}` : open + close);
  return `{\n  "nvcc": ${JSON.stringify(nvcc)},\n  "mayUseStack": ${list('[', excuses, ']')},\n  "kernels": ${list('{', entries, '}')}\n}\n`;
}

/** The table of docs/kernels/resources.md: registers by architecture; stack and shared memory where there is any. */
export function tableMarkdown({ kernels }) {
  const names = Object.keys(kernels).sort();
  const architectures = [...new Set(names.flatMap((name) => Object.keys(kernels[name])))].sort(byArchitecture);
  const cell = (resources) => (resources ? String(resources.registers) : '');
  const most = (name, column) => Math.max(...Object.values(kernels[name]).map((resources) => resources[column]));
  const rows = names.map((name) => [
    `\`${name}\``,
    ...architectures.map((architecture) => cell(kernels[name][architecture])),
    String(most(name, 'shared')),
    String(most(name, 'stack')),
  ]);
  const header = ['kernel', ...architectures.map((architecture) => `sm_${architecture}`), 'static shared B', 'stack B'];
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}
