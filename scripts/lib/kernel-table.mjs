// The committed table of the kernels' resources (native/cuda-report/kernels.json): what a change of it means.

/**
 * kernel ("plain/rows.cu: seedRows<4>") → architecture ("90a") → resources.
 * @typedef {Record<string, Record<string, import('./ptxas.mjs').Resources>>} Kernels
 *
 * @typedef {object} Committed
 * @property {string} nvcc      version that made the numbers
 * @property {Kernels} kernels
 *
 * @typedef {object} MayUseStack   a kernel that may use local memory (its spills included), and why
 * @property {string} kernel       its name or the start of it
 * @property {number} bytes        at most, a thread
 * @property {string} because
 */

const COLUMNS = ['registers', 'stack', 'spills', 'shared'];
/** Order of '80', '90a', '100'. */
export const byArchitecture = (a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10);

/**
 * What never may be: a spill, or local memory in a kernel that is not excused.
 * @param {Kernels} kernels
 * @param {MayUseStack[]} mayUseStack
 * @returns {string[]} one sentence for each
 */
export function faults(kernels, mayUseStack) {
  const found = [];
  for (const [kernel, architectures] of Object.entries(kernels)) {
    const most = mayUseStack.find((entry) => kernel.startsWith(entry.kernel))?.bytes ?? 0;
    for (const [architecture, { stack, spills }] of Object.entries(architectures)) {
      if (stack <= most && (spills === 0 || most > 0)) continue;
      const received = `${stack} bytes of local memory a thread, ${spills} bytes of spills`;
      found.push(
        `${kernel} for sm_${architecture}: expected ${most === 0 ? 'none' : `at most ${most}`}, received ${received}`,
      );
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
    // What happened → where: one line for all architectures that it happened to.
    const happened = new Map();
    for (const architecture of [...architectures].sort(byArchitecture)) {
      for (const change of changesOf(kernel, architecture, committed, built)) {
        happened.set(change, [...(happened.get(change) ?? []), `sm_${architecture}`]);
      }
    }
    for (const [change, where] of happened) lines.push(`${kernel}: ${change} (${where.join(', ')})`);
  }
  return lines;
}

function changesOf(kernel, architecture, committed, built) {
  const before = committed.kernels[kernel]?.[architecture];
  const now = built.kernels[kernel]?.[architecture];
  if (before && !now) return ['is gone'];
  if (now && !before) return ['is new'];
  if (!now || committed.nvcc !== built.nvcc) return [];
  return COLUMNS.filter((column) => before[column] !== now[column]).map(
    (column) => `${column} ${before[column]} → ${now[column]}`,
  );
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
