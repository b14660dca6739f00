const said = new Set<string>();

/** Writes a warning to the console, the same one once in the life of the process. */
export function warnOnce(message: string): void {
  if (said.has(message)) return;
  said.add(message);
  console.warn(message);
}
