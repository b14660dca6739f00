// Which lines of a test run say what failed, so that a summary at its end can name it.

// The escape character starts a colour.
// eslint-disable-next-line no-control-regex
const COLOURS = /\u001b\[[0-9;]*m/g;

/** Lines by which the runners and compilers of this repository name a failure. */
const NAMES_FAILURE = [
  /^(\S+:\s+)?FAIL\s+\S/, // Vitest: a test, with its path
  /^(\S+:\s+)?(\w*Error|expected): \S/, // and what was thrown
  /\*\*\*(Failed|Timeout|Exception|Not Run)/, // CTest
  /^(\S+:\s+)?\[ {2}FAILED {2}\] \S/, // GoogleTest
  /\berror TS\d+:/,
  /^\S+:\d+:\d+:? (fatal )?error:/, // C++ compilers
  /^(\S+:\s+)?\s*\d+:\d+\s+error\s/, // ESLint
  /^\[warn\] \S/, // Prettier
  /(ERROR|WARNING): \w*Sanitizer:/,
];

/**
 * Gathers what failed from the lines of a run.
 * @param {number} most lines kept; the first ones
 */
export function failureCollector(most = 12) {
  const lines = new Set();
  return {
    /** @param {string} line a line of output, colours and all */
    look(line) {
      const text = line.replace(COLOURS, '').trim();
      if (NAMES_FAILURE.some((pattern) => pattern.test(text))) lines.add(text.slice(0, 240));
    },
    /** @returns {string[]} the lines that name a failure, each once, and how many more there were */
    found() {
      const more = lines.size - most;
      return [...[...lines].slice(0, most), ...(more > 0 ? [`… and ${more} more`] : [])];
    },
  };
}
