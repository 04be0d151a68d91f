import { open } from 'node:fs/promises';
import { MAX_KEY_SET_BYTES, parseKeySet } from './key-set.ts';
import type { KeySet } from './key-set.ts';

/** The address of an application's key set: a file, or a URL. */
export type KeySetAddress = { readonly path: string } | { readonly url: string };

const FETCH_TIMEOUT_MS = 5_000;

/** Reads a key set, within a bounded time and size. @throws Error with the reason if it cannot be read */
export async function loadKeySet(address: KeySetAddress): Promise<KeySet> {
  return parseKeySet('path' in address ? await readFile(address.path) : await fetchText(address.url));
}

async function readFile(path: string): Promise<string> {
  const file = await open(path);
  try {
    return await textOf(file.createReadStream({ autoClose: false, end: MAX_KEY_SET_BYTES }));
  } finally {
    await file.close();
  }
}

async function fetchText(url: string): Promise<string> {
  const response = await fetch(url, {
    // Only the configured address is trusted, so a redirect is an error.
    redirect: 'error',
    headers: { accept: 'application/jwk-set+json, application/json' },
    signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
  });
  if (!response.ok || response.body === null) throw new Error(`${url} answered ${response.status}`);
  return textOf(response.body);
}

async function textOf(chunks: AsyncIterable<unknown>): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    if (!(chunk instanceof Uint8Array)) throw new Error('the key set is not sent as bytes');
    length += chunk.byteLength;
    if (length > MAX_KEY_SET_BYTES) throw new Error(`the key set is larger than ${MAX_KEY_SET_BYTES} bytes`);
    parts.push(chunk);
  }
  return Buffer.concat(parts).toString('utf8');
}
