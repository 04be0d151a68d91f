import { answering, guardCallback, inBackground, PlenaryError, tellEntryFault } from '@plenary/cluster';
import type { AddressClues, AddressReader } from './client-address.ts';
import { answerOrFault, json, GUEST_TOKEN_BODY_BYTES } from './port.ts';
import type { AnswerListener, HttpHandler, HttpRequest, HttpResponse } from './port.ts';
import { STATUS_CODES } from 'node:http';

/** What is used of a uWebSockets.js response. After `onAborted` it must not be touched. */
export interface UwsResponse {
  writeStatus(status: string): unknown;
  writeHeader(name: string, value: string): unknown;
  end(body?: Uint8Array | string, closesConnection?: boolean): unknown;
  endWithoutBody(contentLength?: number, closesConnection?: boolean): unknown;
  /** Sends what the connection takes of a body, and keeps none of it. @returns whether all of this was taken, and whether all is sent */
  tryEnd(body: Uint8Array, totalLength: number): readonly [isTaken: boolean, isDone: boolean];
  /** The connection takes more; `offset` is what it has taken so far. */
  onWritable(listener: (offset: number) => boolean): unknown;
  onAborted(listener: () => void): unknown;
  onData(listener: (chunk: ArrayBuffer, isLast: boolean) => void): unknown;
  cork(write: () => void): unknown;
  getRemoteAddressAsText(): ArrayBuffer;
  /** What a PROXY protocol header (version 2) said; empty without one. */
  getProxiedRemoteAddressAsText(): ArrayBuffer;
  close(): unknown;
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

/** So much of an answer the library may keep for a client that does not read it, in bytes: as much as it gathers in any case. */
const MAX_KEPT_BYTES = 16_384;

/** Carries requests of uWebSockets.js to a handler. Whatever is thrown on the way, the client gets an answer or an end. */
export function serveUws(
  handler: HttpHandler,
  readAddress: AddressReader,
  onAnswer: AnswerListener = () => 'stays',
) {
  return (response: UwsResponse, request: UwsRequest): void => {
    try {
      serve(handler, readAddress, onAnswer, response, request);
    } catch (fault) {
      tellEntryFault('http', fault);
      response.close();
    }
  };
}

function serve(
  handler: HttpHandler,
  readAddress: AddressReader,
  onAnswer: AnswerListener,
  response: UwsResponse,
  request: UwsRequest,
): void {
  let isAborted = false;
  let onAborted = (): void => {};
  response.onAborted(
    guardCallback('http', () => {
      isAborted = true;
      onAborted();
    }),
  );
  const headers = headersOf(request);
  if (isAmbiguous(headers)) {
    refuseAmbiguous(response);
    return;
  }
  const method = request.getMethod().toUpperCase();
  const clues = cluesOf(response, headers);
  const address = readAddress(clues);
  const body = new Promise<Body>((resolve) => {
    onAborted = () => resolve({ type: 'aborted' });
    collect(response, method, resolve);
  });
  const neutral: HttpRequest = {
    method,
    path: request.getUrl(),
    address,
    header: (name) => headers.get(name),
    body: async () => bytesOf(await body),
  };
  const exchange = { handler, onAnswer: () => onAnswer(clues.remoteAddress), isAborted: () => isAborted };
  inBackground(() => answer(exchange, neutral, response));
}

/**
 * Whether a proxy may read another end of the body than the library does, so that what follows would be a request of somebody
 * else's (RFC 9112, 6.3): the library takes the first of two lengths, and any coding for chunks.
 */
function isAmbiguous(headers: ReadonlyMap<string, string>): boolean {
  const coding = headers.get('transfer-encoding');
  const isOther = coding !== undefined && coding.toLowerCase() !== 'chunked';
  return isOther || headers.get('content-length')?.includes(',') === true;
}

/** Nothing more is read from that connection. */
function refuseAmbiguous(response: UwsResponse): void {
  const fault = new PlenaryError('malformed_message', 'The length of the body is not clear.');
  const { status, headers, body } = json(400, { error: fault.toWire() });
  response.writeStatus(`${status} ${STATUS_CODES[status] ?? ''}`);
  for (const [name, value] of Object.entries(headers)) response.writeHeader(name, value);
  response.end(body, true);
}

/** By small letters; of several lines of one name all, joined by commas, as HTTP means them. */
export function headersOf(request: UwsRequest): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  request.forEach((name, value) => {
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  });
  return headers;
}

/** Where a request says that it comes from, to be asked before the handler first awaits. */
export function cluesOf(
  response: Pick<UwsResponse, 'getRemoteAddressAsText' | 'getProxiedRemoteAddressAsText'>,
  headers: ReadonlyMap<string, string>,
): AddressClues {
  const text = (bytes: ArrayBuffer): string => new TextDecoder().decode(bytes);
  return {
    remoteAddress: text(response.getRemoteAddressAsText()),
    proxied: text(response.getProxiedRemoteAddressAsText()),
    forwardedFor: headers.get('x-forwarded-for'),
    forwarded: headers.get('forwarded'),
  };
}

interface Exchange {
  readonly handler: HttpHandler;
  readonly onAnswer: () => 'stays' | 'closes';
  readonly isAborted: () => boolean;
}

async function answer(
  { handler, onAnswer, isAborted }: Exchange,
  request: HttpRequest,
  response: UwsResponse,
): Promise<void> {
  const answered = await answerOrFault(handler, request);
  if (isAborted()) return;
  const isHead = request.method === 'HEAD';
  // The library keeps all of a body that is to end its connection. Whoever is sent more counts as waiting still (SPEC EN38).
  const mayClose = isHead || Buffer.byteLength(answered.body) <= MAX_KEPT_BYTES;
  const closes = mayClose && onAnswer() === 'closes';
  response.cork(() => {
    write(response, answered, { isHead, closes });
  });
}

function write(
  response: UwsResponse,
  { status, headers, body }: HttpResponse,
  { isHead, closes }: { readonly isHead: boolean; readonly closes: boolean },
): void {
  response.writeStatus(`${status} ${STATUS_CODES[status] ?? ''}`);
  for (const [name, value] of Object.entries(headers)) response.writeHeader(name, value);
  // The library keeps what a client does not read. An answer that is all sent lets the next request of the connection in.
  if (isHead) response.endWithoutBody(Buffer.byteLength(body), true);
  else if (closes) response.end(body, true);
  else sendAsTaken(response, typeof body === 'string' ? Buffer.from(body) : body);
}

/**
 * Sends a body as the client takes it. Until it is all sent, the next request ends the connection: so who asks and does not
 * read costs nothing but what the kernel keeps (SPEC RL8, RL13).
 */
function sendAsTaken(response: UwsResponse, body: Uint8Array): void {
  const [, isDone] = response.tryEnd(body, body.byteLength);
  if (isDone) return;
  response.onWritable(
    answering('http', true, (offset) => {
      const [isTaken] = response.tryEnd(body.subarray(offset), body.byteLength);
      return isTaken;
    }),
  );
}

function collect(response: UwsResponse, method: string, resolve: (body: Body) => void): void {
  if (method === 'GET' || method === 'HEAD') {
    resolve({ type: 'whole', bytes: new Uint8Array() });
    return;
  }
  const chunks: Buffer[] = [];
  let length = 0;
  response.onData(
    guardCallback('http', (chunk, isLast) => {
      length += chunk.byteLength;
      // The chunk's memory is taken back when this returns.
      if (length <= GUEST_TOKEN_BODY_BYTES) chunks.push(Buffer.from(chunk.slice(0)));
      else chunks.length = 0;
      if (!isLast) return;
      resolve(
        length <= GUEST_TOKEN_BODY_BYTES
          ? { type: 'whole', bytes: Buffer.concat(chunks) }
          : { type: 'too_large' },
      );
    }),
  );
}

function bytesOf(body: Body): Uint8Array {
  if (body.type === 'aborted') throw new PlenaryError('malformed_message', 'The body broke off.');
  if (body.type === 'too_large') throw new PlenaryError('message_too_large');
  return body.bytes;
}
