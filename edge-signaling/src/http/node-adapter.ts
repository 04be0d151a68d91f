import { inBackground, PlenaryError, tellEntryFault } from '@plenary/cluster';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressClues, AddressReader } from './client-address.ts';
import { answerOrFault, GUEST_TOKEN_BODY_BYTES } from './port.ts';
import type { AnswerListener, HttpHandler, HttpRequest } from './port.ts';

/** Carries requests of Node's own server to a handler. Whatever is thrown on the way, the client gets an answer or an end. */
export function serveNode(
  handler: HttpHandler,
  readAddress: AddressReader,
  onAnswer: AnswerListener = () => 'stays',
) {
  return (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    inBackground(async () => {
      try {
        const { socket } = incoming;
        const address = socket.remoteAddress ?? '';
        await answer(handler, neutralOf(incoming, readAddress), outgoing, () => onAnswer(address, socket));
      } catch (fault) {
        tellEntryFault('http', fault);
        outgoing.destroy();
      }
    });
  };
}

function neutralOf(incoming: IncomingMessage, readAddress: AddressReader): HttpRequest {
  const { url = '/', method = 'GET' } = incoming;
  return {
    method,
    path: pathOf(url),
    address: readAddress(cluesOfNode(incoming)),
    header: (name) => headerOf(incoming, name),
    body: async () => readBody(incoming),
  };
}

/** Where a request of Node's server says that it comes from. */
export function cluesOfNode(incoming: IncomingMessage): AddressClues {
  return {
    remoteAddress: incoming.socket.remoteAddress ?? '',
    forwardedFor: headerOf(incoming, 'x-forwarded-for'),
    forwarded: headerOf(incoming, 'forwarded'),
  };
}

/** Without the query; a proxy may send the whole URL (RFC 9112, absolute form). */
function pathOf(url: string): string {
  const target = url.replace(/^https?:\/\/[^/?#]*/i, '');
  const end = target.search(/[?#]/);
  const path = end < 0 ? target : target.slice(0, end);
  return path === '' ? '/' : path;
}

async function answer(
  handler: HttpHandler,
  request: HttpRequest,
  outgoing: ServerResponse,
  onAnswer: () => 'stays' | 'closes',
): Promise<void> {
  const { status, headers, body } = await answerOrFault(handler, request);
  if (onAnswer() === 'closes') outgoing.setHeader('connection', 'close');
  outgoing.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
  outgoing.end(request.method === 'HEAD' ? undefined : body);
}

function headerOf(incoming: IncomingMessage, name: string): string | undefined {
  const value = incoming.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

async function readBody(incoming: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    const body: AsyncIterable<Uint8Array> = incoming;
    for await (const bytes of body) {
      length += bytes.byteLength;
      if (length > GUEST_TOKEN_BODY_BYTES) throw new PlenaryError('message_too_large');
      chunks.push(bytes);
    }
  } catch (fault) {
    if (fault instanceof PlenaryError) throw fault;
    throw new PlenaryError('malformed_message', 'The body broke off.', { cause: fault });
  }
  return Buffer.concat(chunks);
}
