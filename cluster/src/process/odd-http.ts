/** Answers of a Node server where Node itself would close the connection silently (SPEC EN5). */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { codeOf } from './tls-fault.ts';
import { guardCallback } from './guarded-callbacks.ts';

const STATUS_OF: ReadonlyMap<string, string> = new Map([
  ['HPE_HEADER_OVERFLOW', '431 Request Header Fields Too Large'],
  ['HPE_CHUNK_EXTENSIONS_OVERFLOW', '413 Content Too Large'],
  ['HPE_INVALID_VERSION', '505 HTTP Version Not Supported'],
  ['HPE_PAUSED_H2_UPGRADE', '505 HTTP Version Not Supported'],
  ['ERR_HTTP_REQUEST_TIMEOUT', '408 Request Timeout'],
]);

const BAD_REQUEST = '400 Bad Request';

/** Answers invalid HTTP, and closes the connection. A connection that broke, or on which an answer has begun, is only closed. */
export function answerOddHttp(server: Server): void {
  const answers = new WeakMap<Duplex, ServerResponse>();
  server.on(
    'request',
    guardCallback('http', ({ socket }: IncomingMessage, response: ServerResponse) => {
      answers.set(socket, response);
      response.on(
        'close',
        guardCallback('http', () => answers.delete(socket)),
      );
    }),
  );
  server.on(
    'clientError',
    guardCallback('http', (error: Error, socket: Duplex) => {
      const status = isLineEnd(error) ? BAD_REQUEST : (STATUS_OF.get(codeOf(error)) ?? BAD_REQUEST);
      if (socket.writable && answers.get(socket)?.headersSent !== true && !isBroken(error)) {
        socket.write(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      }
      socket.destroy();
    }),
  );
  server.on(
    'connect',
    guardCallback('http', (_request: IncomingMessage, socket: Duplex) => {
      socket.on(
        'error',
        guardCallback('http', () => socket.destroy()),
      );
      // Node's server sets no time limit after CONNECT, and waits for the other side to close.
      socket.end(
        'HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\nContent-Length: 0\r\n\r\n',
        guardCallback('http', () => socket.destroy()),
      );
    }),
  );
}

/** Node's parser gives this code also for a version that is followed by the wrong line end. */
const isLineEnd = (error: Error): boolean => error.message.includes('Expected CRLF');

/** Whether the connection itself failed, and not its content. */
const isBroken = (error: Error): boolean => /^(ECONN|EPIPE)/.test(codeOf(error));

/** The path of Socket.IO on every server. */
export const SOCKET_PATH = '/socket.io/';

/** A connection that breaks during a handshake is no fault. */
const ignoreBroken = guardCallback('http', () => undefined);

/**
 * Answers an upgrade at another path before Engine.IO sees it. Engine.IO would close it after a second without an
 * answer, and until then nobody listens for errors of the connection: one that broke would end the process.
 * @returns whether the request was answered here
 */
export function answerStrayUpgrade({ url }: IncomingMessage, socket: Duplex): boolean {
  socket.on('error', ignoreBroken);
  if (url?.startsWith(SOCKET_PATH) === true) return false;
  socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  return true;
}
