import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Pages for users who may write TypeScript; their programs are JavaScript that is both. */
const pages = ['README.md', ...['kernels-cuda', 'heads', 'trainer'].map((name) => `packages/${name}/README.md`)];

/** Their programs, as modules that would lie in the root. */
const programs = new Map<string, string>();
for (const page of pages) {
  const blocks = [...readFileSync(join(root, page), 'utf8').matchAll(/```(?:js|ts)\n([^]*?)```/g)];
  for (const [i, [, text]] of blocks.entries()) {
    programs.set(join(root, `${page.replaceAll('/', '-')}.${i + 1}.mts`), text!);
  }
}

const options: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts', 'lib.dom.d.ts'],
  module: ts.ModuleKind.NodeNext,
  strict: true,
  skipLibCheck: true,
  types: ['node'],
  noEmit: true,
};

/** What a reader's strict TypeScript says of the programs, a line for each fault. */
function faults(): string[] {
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.getCurrentDirectory = () => root;
  host.fileExists = (path) => programs.has(path) || fileExists(path);
  host.getSourceFile = (path, language, ...rest) => {
    const text = programs.get(path);
    return text === undefined
      ? getSourceFile.call(host, path, language, ...rest)
      : ts.createSourceFile(path, text, language);
  };
  const program = ts.createProgram([...programs.keys()], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const text = ts.flattenDiagnosticMessageText(messageText, '\n');
    if (file === undefined) return text;
    const { line } = file.getLineAndCharacterOfPosition(start!);
    return `${file.fileName}:${line + 1}: ${text}`;
  });
}

it('the programs of the pages pass strict TypeScript as printed, without a cast', () => {
  expect(programs.size).toBe(10);
  expect(faults()).toEqual([]);
}, 120_000);
