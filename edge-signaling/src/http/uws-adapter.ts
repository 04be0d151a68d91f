import { PlenaryError } from '@plenary/cluster';
import type { AddressReader } from './client-address.ts';
import type { HttpHandler, HttpRequest, HttpResponse } from './port.ts';
import { STATUS_CODES } from 'node:http';

/** What is used of a uWebSockets.js response. After `onAborted` it must not be touched. */
export interface UwsResponse {
  writeStatus(status: string): unknown;
  writeHeader(name: string, value: string): unknown;
  end(body?: Uint8Array | string): unknown;
  endWithoutBody(contentLength?: number): unknown;
  onAborted(listener: () => void): unknown;
  onData(listener: (chunk: ArrayBuffer, isLast: boolean) => void): unknown;
  cork(write: () => void): unknown;
  getRemoteAddressAsText(): ArrayBuffer;
}

/** What is used of a uWebSockets.js request. It is gone when the handler first awaits. */
export interface UwsRequest {
  getMethod(): string;
  getUrl(): string;
  forEach(listener: (name: string, value: string) => void): void;
}

type Body =
  | { readonly type: 'whole'; readonly bytes: Uint8Array }
  | { readonly type: 'too_large' }
  | { readonly type: 'aborted' };

/** No handler takes more. */
const MAX_BODY_BYTES = 65_536;

/** Carries requests of uWebSockets.js to a handler that must not throw. */
export function serveUws(handler: HttpHandler, readAddress: AddressReader) {
  return (response: UwsResponse, request: UwsRequest): void => {
    let isAborted = false;
    let onAborted = (): void => {};
    response.onAborted(() => {
      isAborted = true;
      onAborted();
    });
    const headers = new Map<string, string>();
    request.forEach((name, value) => headers.set(name, value));
    const method = request.getMethod().toUpperCase();
    const remoteAddress = new TextDecoder().decode(response.getRemoteAddressAsText());
    const body = new Promise<Body>((resolve) => {
      onAborted = () => resolve({ type: 'aborted' });
      collect(response, method, resolve);
    });
    const neutral: HttpRequest = {
      method,
      path: request.getUrl(),
      address: readAddress(remoteAddress, headers.get('x-forwarded-for')),
      header: (name) => headers.get(name),
      body: async (maxBytes) => bytesOf(await body, maxBytes),
    };
    void answer(handler, neutral, response, () => isAborted);
  };
}

async function answer(
  handler: HttpHandler,
  request: HttpRequest,
  response: UwsResponse,
  isAborted: () => boolean,
): Promise<void> {
  const answered = await handler(request);
  if (isAborted()) return;
  response.cork(() => {
    write(response, answered, request.method === 'HEAD');
  });
}

function write(response: UwsResponse, { status, headers, body }: HttpResponse, isHead: boolean): void {
  response.writeStatus(`${status} ${STATUS_CODES[status] ?? ''}`);
  for (const [name, value] of Object.entries(headers)) response.writeHeader(name, value);
  if (isHead) response.endWithoutBody(Buffer.byteLength(body));
  else response.end(body);
}

function collect(response: UwsResponse, method: string, resolve: (body: Body) => void): void {
  if (method === 'GET' || method === 'HEAD') {
    resolve({ type: 'whole', bytes: new Uint8Array() });
    return;
  }
  const chunks: Buffer[] = [];
  let length = 0;
  response.onData((chunk, isLast) => {
    length += chunk.byteLength;
    // The chunk's memory is taken back when this returns.
    if (length <= MAX_BODY_BYTES) chunks.push(Buffer.from(chunk.slice(0)));
    else chunks.length = 0;
    if (!isLast) return;
    resolve(
      length <= MAX_BODY_BYTES ? { type: 'whole', bytes: Buffer.concat(chunks) } : { type: 'too_large' },
    );
  });
}

function bytesOf(body: Body, maxBytes: number): Uint8Array {
  if (body.type === 'aborted') throw new PlenaryError('malformed_message', 'The body broke off.');
  if (body.type === 'too_large' || body.bytes.byteLength > maxBytes)
    throw new PlenaryError('message_too_large');
  return body.bytes;
}
