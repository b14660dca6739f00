// Reads what `ptxas -v` says of a CUDA file: one entry for each kernel and architecture.

/**
 * @typedef {object} Resources
 * @property {number} registers  registers a thread
 * @property {number} stack      bytes of local memory a thread (arrays that stayed out of registers, and spills)
 * @property {number} spills     bytes of spill stores and loads
 * @property {number} shared     bytes of static shared memory a block
 *
 * @typedef {object} Report
 * @property {{symbol: string, architecture: string, resources: Resources}[]} kernels
 * @property {string[]} remarks  what ptxas said beside its table: "(C7510) Potential Performance Loss: …"
 */

const ENTRY = /Compiling entry function '([^']+)' for 'sm_(\w+)'/;
const PROPERTIES = /Function properties for (\S+)/;
const FRAME = /^\s*(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads/;
const USED = /Used (\d+) registers/;

/**
 * @param {string} text  of `ptxas -v`, any number of architectures
 * @returns {Report} a called function that was not inlined counts as a kernel of its own where it spills
 * @throws {Error} for a kernel whose report is not whole
 */
export function parsePtxas(text) {
  const kernels = [];
  const remarks = [];
  let entry; // the kernel whose lines these are
  let subject; // the function whose stack frame the next line tells
  for (const line of text.split('\n')) {
    const [, symbol, architecture] = ENTRY.exec(line) ?? [];
    if (symbol) {
      entry = { symbol, architecture, resources: { registers: NaN, stack: NaN, spills: NaN, shared: 0 } };
      kernels.push(entry);
      continue;
    }
    subject = PROPERTIES.exec(line)?.[1] ?? subject;
    const frame = FRAME.exec(line)?.slice(1).map(Number);
    if (frame && entry) addFrame(frame, subject, entry, kernels);
    const used = USED.exec(line);
    if (used && entry) {
      entry.resources.registers = Number(used[1]);
      entry.resources.shared = Number(/(\d+) bytes smem/.exec(line)?.[1] ?? 0);
      const cumulative = Number(/(\d+) bytes cumulative stack size/.exec(line)?.[1] ?? 0);
      entry.resources.stack = Math.max(entry.resources.stack, cumulative);
    }
    if (/^ptxas (info *: \(C\d+\)|warning)/.test(line)) remarks.push(line.replace(/^ptxas \w+ *: /, ''));
  }
  for (const { symbol, architecture, resources } of kernels) {
    if (Object.values(resources).some(Number.isNaN)) {
      throw new Error(
        `ptxas: expected registers and stack frame of ${symbol} for sm_${architecture}, received neither`,
      );
    }
  }
  return { kernels, remarks };
}

function addFrame([stack, stores, loads], subject, entry, kernels) {
  const spills = stores + loads;
  if (subject === entry.symbol) {
    Object.assign(entry.resources, { stack, spills });
  } else if (spills > 0) {
    const resources = { registers: 0, stack, spills, shared: 0 };
    kernels.push({ symbol: subject, architecture: entry.architecture, resources });
  }
}

/** `void hyperarc::cuda::(anonymous namespace)::sum<256, false>(float const*)` → `sum<256, false>`. */
export function shortName(demangled) {
  const name = demangled
    .replaceAll('(anonymous namespace)::', '')
    .replaceAll('hyperarc::cuda::', '')
    .replace(/^void /, '');
  let depth = 0;
  for (let i = 0; i < name.length; i += 1) {
    if (name[i] === '<') depth += 1;
    if (name[i] === '>') depth -= 1;
    if (name[i] === '(' && depth === 0) return name.slice(0, i);
  }
  return name;
}
