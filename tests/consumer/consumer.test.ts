import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const addon = join(root, 'native', 'build', 'Release', 'hyperarc.node');
const folder = mkdtempSync(join(tmpdir(), 'hyperarc-consumer-'));
/** Versions that this repository is built with. */
const PEERS = [
  '@tensorflow/tfjs-core@4.22.0',
  '@tensorflow/tfjs-backend-cpu@4.22.0',
  '@types/node@20',
  'typescript@5.9.3',
];

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env, cwd = folder): string {
  return execFileSync(command, args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Runs a compiled program; `HYPERARC_ADDON` is set or absent. */
function runProgram(name: string, addonPath?: string): string {
  const { HYPERARC_ADDON: _, ...env } = process.env;
  return run(process.execPath, [join(folder, name)], addonPath ? { ...env, HYPERARC_ADDON: addonPath } : env).trim();
}

/** An empty project with the packed packages, as a user of the registry would have them. */
beforeAll(() => {
  const packages = ['kernels-cuda', 'heads'].map((name) => join(root, 'packages', name));
  run('npm', ['pack', '--silent', '--pack-destination', folder, ...packages], process.env, root);
  const tarballs = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  expect(tarballs.length).toBe(2);
  cpSync(fileURLToPath(new URL('programs', import.meta.url)), folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true }));
  const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  run('npm', ['install', ...flags, ...tarballs.map((name) => `./${name}`), ...PEERS]);
}, 180_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('in an empty project', () => {
  it('the packages hold what their exports name, and no sources or build records', () => {
    for (const name of ['kernels-cuda', 'heads']) {
      const installed = join(folder, 'node_modules', '@hyperarc', name);
      const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as { exports: object };
      const files = Object.values(manifest.exports).flatMap((entry) =>
        typeof entry === 'string' ? [entry] : Object.values(entry as Record<string, string>),
      );
      expect(files.filter((file) => !existsSync(join(installed, file)))).toEqual([]);
      expect(readdirSync(installed)).not.toContain('src');
      expect(readdirSync(join(installed, 'dist'))).not.toContain('.tsbuildinfo');
    }
  });

  it('the trainer’s package holds its commands, recipes, set-up and what it exports, and no sources', () => {
    const manifest = JSON.parse(readFileSync(join(root, 'packages', 'trainer', 'package.json'), 'utf8')) as {
      bin: Record<string, string>;
      exports: Record<string, string | Record<string, string>>;
    };
    const [{ files }] = JSON.parse(
      run('npm', ['pack', '--dry-run', '--json', join(root, 'packages', 'trainer')], process.env, root),
    ) as [{ files: { path: string }[] }];
    const packed = files.map(({ path }) => `./${path}`);
    const exported = Object.values(manifest.exports).flatMap((entry) =>
      typeof entry === 'string' ? [entry] : Object.values(entry),
    );
    const named = [...Object.values(manifest.bin), ...exported, './README.md', './recipes/quickstart.yaml'];
    expect(named.filter((path) => !packed.includes(path))).toEqual([]);
    expect(packed.filter((path) => /^\.\/(src|test)\/|tsbuildinfo/.test(path))).toEqual([]);
  });

  it('ESM and CommonJS programs pass the type check', () => {
    run(process.execPath, [join(folder, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', folder]);
    expect(['pure.mjs', 'pure.cjs', 'engine.mjs', 'engine.cjs'].every((name) => existsSync(join(folder, name)))).toBe(
      true,
    );
  });

  it('the pure tfjs path runs without the addon, from ESM and CommonJS', () => {
    expect(runProgram('pure.mjs')).toContain('E_RANGE 1x2 true');
    expect(runProgram('pure.cjs')).toContain('E_RANGE 3x2x2 true');
  });

  it('the engine runs with the addon, from ESM and CommonJS', () => {
    expect(runProgram('engine.mjs', addon)).toContain('trained true');
    expect(runProgram('engine.cjs', addon)).toContain('seeded true');
  });

  it('the engine says what is missing without the addon', () => {
    for (const name of ['engine.mjs', 'engine.cjs']) {
      expect(runProgram(name)).toMatch(/E_DEVICE: .*expected .*HYPERARC_ADDON/);
      expect(runProgram(name, join(folder, 'absent.node'))).toMatch(/E_DEVICE: [^]*absent\.node/);
    }
  });

  it('the pure tfjs path bundles for a browser', async () => {
    const result = await build({
      stdin: { contents: "export * from '@hyperarc/heads';", resolveDir: folder },
      bundle: true,
      write: false,
      platform: 'browser',
      format: 'esm',
      logLevel: 'silent',
    });
    expect(result.errors).toEqual([]);
    expect(result.outputFiles[0].text).toContain('marginSoftmaxLoss');
  });
});
