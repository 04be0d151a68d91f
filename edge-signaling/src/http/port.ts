/** HTTP as handlers see it, whichever server carries it. */
import { PlenaryError, tellEntryFault } from '@plenary/cluster';

/** No handler takes more. Thousands of bodies that never end are kept so far, and no further (SPEC RL8). */
export const GUEST_TOKEN_BODY_BYTES = 4_096;

export interface HttpRequest {
  /** In capitals. `HEAD` is answered as `GET` by the server, less the body. */
  readonly method: string;
  /** The path as sent, still percent-encoded, without the query. */
  readonly path: string;
  /** Of the client, as far as trusted proxies tell. */
  readonly address: string;
  /** A header by its name in small letters. */
  header(name: string): string | undefined;
  /** The body. @throws PlenaryError `message_too_large` beyond {@link GUEST_TOKEN_BODY_BYTES} */
  body(): Promise<Uint8Array>;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | string;
}

export type HttpHandler = (request: HttpRequest) => HttpResponse | Promise<HttpResponse>;

/** What the handler answers. It is a router, which throws nothing; should it, the client is told so all the same. */
export async function answerOrFault(handler: HttpHandler, request: HttpRequest): Promise<HttpResponse> {
  try {
    return await handler(request);
  } catch (fault) {
    tellEntryFault('http', fault);
    return json(500, { error: new PlenaryError('internal').toWire() });
  }
}

const NO_STORE = { 'cache-control': 'no-store' };

export function json(status: number, value: unknown): HttpResponse {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...NO_STORE },
    body: JSON.stringify(value),
  };
}

export function text(status: number, body: string, contentType = 'text/plain; charset=utf-8'): HttpResponse {
  return { status, headers: { 'content-type': contentType, ...NO_STORE }, body };
}

/**
 * Told whose connection is answered, by the address of its other end, and which one it is, where the library has an identity for it.
 * @returns whether it is to close then
 */
export type AnswerListener = (remoteAddress: string, connection?: object) => 'stays' | 'closes';
