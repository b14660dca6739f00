import '@tensorflow/tfjs-backend-cpu';
// Registers the gradients of tfjs's ops.
import '@tensorflow/tfjs-layers';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import { build } from 'esbuild';
import { beforeAll, describe, expect, it } from 'vitest';
import { findChromium, openPage } from './browser/chromium.js';
import type { OnBackend, PageResult } from './browser/page.js';
import { trainHeads, type Training } from './browser/train.js';

/** How long the page may take; a second or two where nothing else runs. A browser that hangs is replaced once. */
const PAGE_TIMEOUT_MS = 50_000;

async function bundle(): Promise<{ code: string; inputs: string[] }> {
  const { outputFiles, metafile } = await build({
    entryPoints: [fileURLToPath(new URL('browser/page.ts', import.meta.url))],
    bundle: true,
    write: false,
    metafile: true,
    platform: 'browser',
    format: 'esm',
    target: 'es2022',
    outdir: 'out',
    logLevel: 'silent',
  });
  return { code: outputFiles[0]!.text, inputs: Object.keys(metafile.inputs) };
}

class NothingPosted extends Error {}

/** Serves the page with `code`, opens it in `command`, and gives what it posts. */
async function runPage(command: string, code: string): Promise<PageResult> {
  let post!: (result: PageResult) => void;
  const posted = new Promise<PageResult>((resolve) => (post = resolve));
  const server = createServer((request, response) => {
    if (request.url === '/page.js') {
      response.setHeader('content-type', 'text/javascript; charset=utf-8').end(code);
    } else if (request.url === '/result') {
      let body = '';
      request.setEncoding('utf8').on('data', (text: string) => (body += text));
      request.on('end', () => {
        response.end();
        post(JSON.parse(body) as PageResult);
      });
    } else if (request.url === '/') {
      response
        .setHeader('content-type', 'text/html')
        .end('<!doctype html><script type="module" src="/page.js"></script>');
    } else {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const page = openPage(command, `http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const fail = () =>
      reject(new NothingPosted(`the page posted nothing in ${PAGE_TIMEOUT_MS / 1000} s:\n${page.log()}`));
    timer = setTimeout(fail, PAGE_TIMEOUT_MS);
  });
  try {
    return await Promise.race([posted, page.ended, late]);
  } finally {
    clearTimeout(timer);
    await page.close();
    server.closeAllConnections();
    server.close();
  }
}

function relativeDifference(actual: readonly number[], expected: readonly number[]): number {
  expect(actual.length).toBe(expected.length);
  const norm = (values: readonly number[]) => Math.hypot(...values);
  return norm(actual.map((value, e) => value - expected[e]!)) / norm(expected);
}

/** Both start alike, as far as `tolerance`, and both learn. */
function expectSameTraining(actual: Training, expected: Training, tolerance: number): void {
  expect(actual.margin).toBe(expected.margin);
  expect(relativeDifference([actual.losses[0]!], [expected.losses[0]!])).toBeLessThan(tolerance);
  expect(relativeDifference(actual.firstGradient, expected.firstGradient)).toBeLessThan(tolerance);
  expect(relativeDifference(actual.firstCenterGradient, expected.firstCenterGradient)).toBeLessThan(tolerance);
  expect(actual.losses.at(-1)).toBeLessThan(actual.losses[0]! / 4);
  expect(actual.accuracy).toBeGreaterThan(0.95);
}

const chromium = findChromium();
const missing = 'no Chromium on this machine: apt-get install chromium, or name one with HYPERARC_CHROMIUM';

if (chromium === undefined && !process.env['CI']) {
  describe.skip(`heads in a browser: ${missing}`, () => it('skipped', () => {}));
} else {
  describe('heads in a browser', () => {
    let inputs: string[] = [];
    let inBrowser: PageResult;
    let inNode: Training[];

    beforeAll(async () => {
      if (chromium === undefined) throw new Error(missing);
      const page = await bundle();
      inputs = page.inputs;
      inBrowser = await runPage(chromium, page.code).catch((error: unknown) => {
        if (!(error instanceof NothingPosted)) throw error;
        console.warn(`once more, in a new browser: ${error.message}`);
        return runPage(chromium, page.code);
      });
      await tf.setBackend('cpu');
      inNode = await trainHeads();
    });

    it('are bundled with nothing of Node or the engine', () => {
      const own = inputs.filter((path) => !path.includes('node_modules'));
      expect(own.some((path) => path.endsWith('dist/margin-head.js'))).toBe(true);
      expect(own.filter((path) => /\.node$|addon|loader|centers\.js|\/engine\//.test(path))).toEqual([]);
    });

    const resultsOn = (backend: keyof PageResult): Exclude<OnBackend, { error: string }> => {
      const results = inBrowser[backend];
      if ('error' in results) throw new Error(results.error);
      return results;
    };

    it('learn on the cpu backend, with the numbers of Node', () => {
      const { trainings } = resultsOn('cpu');
      inNode.forEach((expected, i) => expectSameTraining(trainings[i]!, expected, 1e-5));
    });

    // Without a GPU Chromium draws with SwiftShader, whose sine and cosine are off by up to 2e-4.
    it('learn on the webgl backend', () => {
      const { trainings } = resultsOn('webgl');
      inNode.forEach((expected, i) => expectSameTraining(trainings[i]!, expected, 1e-3));
    });

    it.each(['cpu', 'webgl'] as const)('on %s tell identities apart, and tell of what is not finite', (backend) => {
      const { nearIdentities, infinite } = resultsOn(backend).edges;
      expect(nearIdentities[0]).toBeCloseTo(0.004256, 5);
      expect(nearIdentities[1]).toBe(nearIdentities[0]);
      expect(Number(infinite['arcFace'])).not.toSatisfy(Number.isFinite);
      expect(infinite['magFace']).toBe('E_NONFINITE');
    });
  });
}
