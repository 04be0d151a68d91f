import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { text } from './port.ts';
import type { HttpHandler, HttpRequest, HttpResponse } from './port.ts';

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.mp3': 'audio/mpeg',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json; charset=utf-8',
  '.webp': 'image/webp',
  '.woff2': 'font/woff2',
};
const COMPRESSED_ALREADY = new Set(['.ico', '.jpg', '.mp3', '.png', '.webp', '.woff2']);
const WORTH_COMPRESSING_BYTES = 1_024;
/** Vite names what lies here by its content: it never changes. */
const HASHED_PATHS = /^\/assets\//;
/** Near the best ratio at a tenth of its time. */
const BROTLI_QUALITY = 9;

const compressBrotli = promisify(brotliCompress);
const compressGzip = promisify(gzip);

interface FileKind {
  readonly contentType: string;
  readonly cacheControl: string;
  /** Whether to compress it would gain nothing. */
  readonly isCompressed?: boolean;
}

interface StaticFile {
  readonly contentType: string;
  readonly cacheControl: string;
  readonly etag: string;
  readonly plain: Uint8Array;
  readonly gzip: Uint8Array | undefined;
  readonly brotli: Uint8Array | undefined;
}

/**
 * Serves a directory from memory. It is read once: a path is looked up in a table of what was found there, so that no
 * path can lead out of it (SPEC HT1, HT5). `/` and `/r/<room>` give the app's page. By hand: `sirv` writes into the response of Node's HTTP
 * server, which uWebSockets.js does not have, streams from the disk, and compresses nothing by itself; here the answer is a value, whose
 * bytes are charged before they leave (SPEC BU74).
 * @throws when the directory cannot be read
 */
export async function createStaticFiles(root: string): Promise<HttpHandler> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = new Map<string, StaticFile>();
  await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => {
        const path = join(entry.parentPath, entry.name);
        const urlPath = `/${relative(root, path).split(sep).join('/')}`;
        const extension = extname(path).toLowerCase();
        const file = await prepare(await readFile(path), {
          contentType: CONTENT_TYPES[extension] ?? 'application/octet-stream',
          cacheControl: HASHED_PATHS.test(urlPath) ? 'public, max-age=31536000, immutable' : 'no-cache',
          isCompressed: COMPRESSED_ALREADY.has(extension),
        });
        files.set(urlPath, file);
      }),
  );
  return (request) => {
    const path = decode(request.path);
    if (path === undefined) return text(400, 'The path is not well encoded.');
    const file = files.get(isPage(path) ? '/index.html' : path);
    return file === undefined ? text(404, 'Not found.') : answer(file, request);
  };
}

/** Serves one file from memory, whatever the path. */
export async function createFile(plain: Uint8Array, kind: FileKind): Promise<HttpHandler> {
  const file = await prepare(plain, kind);
  return (request) => answer(file, request);
}

/** An edge without a web app. */
export const noStaticFiles: HttpHandler = () => text(404, 'Not found.');

function isPage(path: string): boolean {
  // As people type them: the page itself goes by the one spelling that all share.
  return path === '/' || /^\/r(?:\/|$)/i.test(path);
}

function decode(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    // Said to the client by its status; a wrong URL is nothing that anybody here can act on.
    return undefined;
  }
}

async function prepare(plain: Uint8Array, kind: FileKind): Promise<StaticFile> {
  const { contentType, cacheControl, isCompressed = false } = kind;
  const isWorthIt = plain.length >= WORTH_COMPRESSING_BYTES && !isCompressed;
  const brotliOptions = { params: { [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY } };
  return {
    contentType,
    cacheControl,
    etag: `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`,
    plain,
    gzip: isWorthIt ? await compressGzip(plain, { level: 9 }) : undefined,
    brotli: isWorthIt ? await compressBrotli(plain, brotliOptions) : undefined,
  };
}

function answer(file: StaticFile, request: HttpRequest): HttpResponse {
  const headers: Record<string, string> = {
    'content-type': file.contentType,
    'cache-control': file.cacheControl,
    etag: file.etag,
    vary: 'accept-encoding',
  };
  if (hasTag(request.header('if-none-match'), file.etag)) return { status: 304, headers, body: '' };
  const accepted = acceptedEncodings(request.header('accept-encoding'));
  if (file.brotli !== undefined && accepted.has('br')) {
    return { status: 200, headers: { ...headers, 'content-encoding': 'br' }, body: file.brotli };
  }
  if (file.gzip !== undefined && accepted.has('gzip')) {
    return { status: 200, headers: { ...headers, 'content-encoding': 'gzip' }, body: file.gzip };
  }
  return { status: 200, headers, body: file.plain };
}

function acceptedEncodings(header = ''): ReadonlySet<string> {
  const accepted = header
    .split(',')
    .map((item) => item.trim().split(';'))
    .filter(([, quality]) => quality?.trim() !== 'q=0');
  return new Set(accepted.map(([name = '']) => name.toLowerCase()));
}

/** Caches may name several, and a proxy that compresses calls ours weak (RFC 9110, 13.1.2). */
function hasTag(header: string | undefined, etag: string): boolean {
  const named = (header ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return named.includes(etag) || named.includes('*');
}
