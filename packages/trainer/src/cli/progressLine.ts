/** How far a long part of a command is: one line rewritten on a terminal, a line every tenth elsewhere, on stderr. */
export function progressLine(): (what: string, done: number, total: number) => void {
  let [shown, lastMs] = ['', 0];
  return (what, done, total) => {
    const tenth = `${what} ${Math.floor((10 * done) / total)}`;
    const text = `${what} ${done} of ${total}`;
    if (process.stderr.isTTY) {
      if (done < total && Date.now() - lastMs < 200) return;
      lastMs = Date.now();
      process.stderr.write(`\r\x1b[K${text}${done === total ? '\n' : ''}`);
    } else if (tenth !== shown) process.stderr.write(`${text}\n`);
    shown = tenth;
  };
}
