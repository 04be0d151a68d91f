import { PlenaryError } from '@plenary/cluster';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressReader } from './client-address.ts';
import type { HttpHandler, HttpRequest } from './port.ts';

/** Carries requests of Node's own server to a handler that must not throw. */
export function serveNode(handler: HttpHandler, readAddress: AddressReader) {
  return (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    const { url = '/', method = 'GET' } = incoming;
    const question = url.indexOf('?');
    const neutral: HttpRequest = {
      method,
      path: question < 0 ? url : url.slice(0, question),
      address: readAddress(incoming.socket.remoteAddress ?? '', headerOf(incoming, 'x-forwarded-for')),
      header: (name) => headerOf(incoming, name),
      body: async (maxBytes) => readBody(incoming, maxBytes),
    };
    void answer(handler, neutral, outgoing);
  };
}

async function answer(handler: HttpHandler, request: HttpRequest, outgoing: ServerResponse): Promise<void> {
  const { status, headers, body } = await handler(request);
  outgoing.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
  outgoing.end(request.method === 'HEAD' ? undefined : body);
}

function headerOf(incoming: IncomingMessage, name: string): string | undefined {
  const value = incoming.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

async function readBody(incoming: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    const body: AsyncIterable<Uint8Array> = incoming;
    for await (const bytes of body) {
      length += bytes.byteLength;
      if (length > maxBytes) throw new PlenaryError('message_too_large');
      chunks.push(bytes);
    }
  } catch (fault) {
    if (fault instanceof PlenaryError) throw fault;
    throw new PlenaryError('malformed_message', 'The body broke off.', { cause: fault });
  }
  return Buffer.concat(chunks);
}
