/** The only file that loads uWebSockets.js. */
import {
  guardCallback,
  inBackground,
  LISTEN_SETTINGS,
  listenFault,
  probeListening,
  SOCKET_PATH,
  tellEntryFault,
} from '@plenary/cluster';
import type {
  HttpResponse as UwsHttpResponse,
  RecognizedString,
  TemplatedApp,
  us_listen_socket,
  WebSocketBehavior,
} from 'uWebSockets.js';
import { cluesOf, headersOf, serveUws } from '../http/uws-adapter.ts';
import type { UwsResponse } from '../http/uws-adapter.ts';
import type { AcceptGate } from './accept-gate.ts';
import { MAX_SEND_BUFFER_BYTES } from './backpressure.ts';
import { MAX_HEADER_BYTES, onlyWebSocket } from './carrier.ts';
import type { Carrier, CarrierSettings } from './carrier.ts';

/**
 * LIBUS_LISTEN_EXCLUSIVE_PORT of uWebSockets.js: without it two edges could be started on one port, and each would get a
 * part of the clients.
 */
const LISTEN_EXCLUSIVELY = 1;

/** Carries Socket.IO and HTTP on uWebSockets.js. @returns `undefined` where the library cannot be loaded */
export async function attachUws(settings: CarrierSettings): Promise<Carrier | undefined> {
  const { io, host, port, logger, handleHttp, readAddress, acceptGate, allowRequest } = settings;
  let uws: typeof import('uWebSockets.js');
  // Read when the library is loaded; without it 4 KiB is all, and one session cookie of another application is too much.
  process.env['UWS_HTTP_MAX_HEADERS_SIZE'] ??= String(MAX_HEADER_BYTES);
  try {
    uws = await import('uWebSockets.js');
  } catch (fault) {
    logger.warn(
      { err: fault },
      'uWebSockets.js cannot be loaded; the edge serves with Node’s own HTTP server',
    );
    return undefined;
  }
  const app = uws.App();
  guardConnections(app, acceptGate);
  guardSockets(app, settings);
  guardPath(app, settings);
  io.attachApp(app, { allowRequest });
  app.any('/*', serveUws(handleHttp, readAddress, acceptGate.served));
  let listening: us_listen_socket | undefined;
  const stopListening = (): void => {
    if (listening !== undefined) uws.us_listen_socket_close(listening);
    listening = undefined;
  };
  return {
    kind: 'uws',
    listen: async () =>
      new Promise((resolve, reject) => {
        const onListening = (token: us_listen_socket | false): void => {
          if (token === false) return inBackground(async () => reject(await whyNotListening(port, host)));
          listening = token;
          return resolve();
        };
        // Its types know no options together with a host, its code does.
        Reflect.apply(app.listen, app, [host, port, LISTEN_EXCLUSIVELY, onListening]);
      }),
    stopListening,
    bound: () => undefined,
    close: () => {
      stopListening();
      app.close();
    },
  };
}

/** uWebSockets.js says no more than that it could not listen. */
async function whyNotListening(port: number, host: string): Promise<Error> {
  const error = await probeListening(port, host);
  if (error !== undefined) return new Error(listenFault(LISTEN_SETTINGS, port, host, error));
  return new Error(
    `${LISTEN_SETTINGS.port} ${port} on ${host}: could not be listened on just now; try again`,
  );
}

/**
 * Answers requests to Socket.IO's path that are no WebSocket, in Socket.IO's place: it would leave a request that names a
 * connection without an answer.
 */
function guardPath(
  app: TemplatedApp,
  { readAddress, acceptGate }: Pick<CarrierSettings, 'readAddress' | 'acceptGate'>,
): void {
  const serve = app.any.bind(app);
  app.any = (pattern, handler) =>
    serve(
      pattern,
      pattern === SOCKET_PATH ? serveUws(onlyWebSocket, readAddress, acceptGate.served) : handler,
    );
}

/** What is used of a connection of uWebSockets.js. */
type UwsConnection = Pick<UwsResponse, 'getRemoteAddressAsText' | 'close'>;

/** Passes on what the library tells of connections: each that is accepted, and each that closes and became no WebSocket. */
function guardConnections(app: TemplatedApp, acceptGate: AcceptGate): void {
  let isRefusing = false;
  app.filter(
    guardCallback('socket', (response: UwsConnection, change: unknown) => {
      // The library tells the end of a refused connection while it closes it.
      if (isRefusing) return;
      if (Number(change) < 0) {
        acceptGate.ended();
        return;
      }
      if (acceptGate.admit(new TextDecoder().decode(response.getRemoteAddressAsText()))) return;
      isRefusing = true;
      response.close();
      isRefusing = false;
    }),
  );
}

/** The transport that Engine.IO notes on a socket of uWebSockets.js. */
function transportOf(data: unknown): object | undefined {
  if (typeof data !== 'object' || data === null || !('transport' in data)) return undefined;
  const { transport } = data;
  return typeof transport === 'object' && transport !== null ? transport : undefined;
}

/** What is used of a socket of uWebSockets.js to count its frames. */
interface UwsSocket {
  getUserData(): unknown;
  close(): unknown;
}

/**
 * Puts itself before Socket.IO's handlers of WebSockets: notes the client's address of a handshake, refuses a handshake that
 * names an open connection, bounds pings and pongs (SPEC RL10), and has the library close the connection of a client that does
 * not read, where Socket.IO would have it drop messages (SPEC RL7).
 */
function guardSockets(
  app: TemplatedApp,
  {
    readAddress,
    addresses,
    acceptGate,
    frameGuards,
    slowClients,
  }: Pick<CarrierSettings, 'readAddress' | 'addresses' | 'acceptGate' | 'frameGuards' | 'slowClients'>,
): void {
  const serve = app.ws.bind(app);
  const countFrame = guardCallback('socket', (socket: UwsSocket) => {
    if (!frameGuards.allowsControlFrame(transportOf(socket.getUserData()))) socket.close();
  });
  app.ws = <UserData>(pattern: RecognizedString, behaviour: WebSocketBehavior<UserData>) =>
    serve<UserData>(pattern, {
      ...behaviour,
      maxBackpressure: MAX_SEND_BUFFER_BYTES,
      closeOnBackpressureLimit: true,
      upgrade: (response, request, context) => {
        try {
          addresses.note(request, readAddress(cluesOf(response, headersOf(request))));
          closeWithAnswer(response);
          // Without polling there is nothing to upgrade from.
          if (request.getQuery('sid') !== undefined) response.writeStatus('400 Bad Request').end();
          else inBackground(() => behaviour.upgrade?.(response, request, context));
        } catch (fault) {
          tellEntryFault('socket', fault);
          response.close();
        }
      },
      open: guardCallback('socket', (socket) => {
        acceptGate.ended();
        acceptGate.served(new TextDecoder().decode(socket.getRemoteAddressAsText()));
        return behaviour.open?.(socket);
      }),
      ping: countFrame,
      pong: countFrame,
      dropped: guardCallback('socket', (socket) => {
        slowClients.cutOff(socket);
      }),
    });
}

/**
 * A handshake that is refused ends its connection: the library keeps what a client does not read, and would take the next
 * handshake on the same connection all the same (SPEC RL14).
 */
function closeWithAnswer(response: Pick<UwsHttpResponse, 'end'>): void {
  const end = response.end.bind(response);
  response.end = (body) => end(body, true);
}
