import { once } from 'node:events';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';

const BENCH_PAGE = fileURLToPath(new URL('./bench-join/page/page.ts', import.meta.url));
const HTML =
  '<!doctype html><meta charset="utf-8"><title>Plenary bench</title><body><script src="/page.js"></script>';

export interface PageServer {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Bundles a page as the web app is bundled, and serves it on loopback, where browsers allow cameras and keys without HTTPS.
 * @param entry - the page's script; the benchmarks' page by default
 */
export async function startPageServer(entry = BENCH_PAGE): Promise<PageServer> {
  const script = await bundle(entry);
  const server = createServer((request, response) => {
    const isScript = request.url === '/page.js';
    if (!isScript && request.url !== '/') {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-type': isScript ? 'text/javascript' : 'text/html' });
    response.end(isScript ? script : HTML);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The page server has no port.');
  return {
    url: `http://127.0.0.1:${address.port}/`,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function bundle(entry: string): Promise<string> {
  // The bundler is imported only here, so that its threads do not run beside the bots.
  const { build } = await import('vite');
  const built = await build({
    configFile: false,
    logLevel: 'error',
    build: {
      write: false,
      target: 'es2022',
      minify: true,
      lib: { entry, formats: ['iife'], name: 'plenaryBenchPage' },
    },
  });
  const [bundled] = Array.isArray(built) ? built : [built];
  const chunk = bundled !== undefined && 'output' in bundled ? bundled.output[0] : undefined;
  if (chunk === undefined) throw new Error('The bench page was not built.');
  return chunk.code;
}
