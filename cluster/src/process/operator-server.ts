import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { ConsulTrouble } from '../consul/consul-trouble.ts';
import type { StoreTrouble } from '../redis/store-trouble.ts';
import { answerAdminRequest, hasAdminPath, MAX_ADMIN_BODY_LENGTH } from './admin.ts';
import type { AdminSettings } from './admin.ts';
import { ADMIN_CHALLENGE_PATH, ADMIN_PROOF_HEADER } from './admin-proof.ts';
import { guardCallback } from './guarded-callbacks.ts';
import { systemClock } from '../clock.ts';
import { listenFault } from './listen-fault.ts';
import type { Logger } from './logging.ts';
import { answerOddHttp } from './odd-http.ts';
import { guardConnections, PORT_GUARD_LIMITS, PortGate, TLS_HANDSHAKE_MS } from './port-gate.ts';
import { leftOut, RareLines } from './rare-lines.ts';
import type { TlsFiles } from './tls-files.ts';

/** Whether to send a process new work, and every reason against it. */
export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
  /** Why the store, or a part of it, is unreachable; absent while it serves. */
  readonly store?: StoreTrouble;
  /** Why edges do not receive each other's messages although the store serves; absent while they do. */
  readonly pubSub?: StoreTrouble;
  /** Why Consul does not serve, or does not let the process announce itself; absent while it does. */
  readonly consul?: ConsulTrouble;
  /** Why an edge can use no media node, by kind; absent while it can. */
  readonly controlLinks?: readonly string[];
}

export interface OperatorSettings {
  readonly readiness: () => Readiness;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  /** Absent if there is no admin token, or nothing to drain yet. */
  readonly admin: () => AdminSettings | undefined;
  readonly onFault: (fault: unknown) => void;
  /** Logs, rarely, that connections were closed because too many were open. */
  readonly logger: Pick<Logger, 'warn'>;
}

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const json = (status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Answer => ({
  status,
  contentType: 'application/json',
  text: `${JSON.stringify(value)}\n`,
  headers,
});
const plain = (status: number, text: string): Answer => ({
  status,
  contentType: 'text/plain',
  text: `${text}\n`,
});

/**
 * Answers operators on a separate port (SPEC OP1): `/health` (the process is well), `/ready` (send it new work),
 * `/metrics`, and `/admin`. Liveness never depends on the store or on workers: an orchestrator must not kill a
 * process whose meetings continue.
 */
async function answerOperator(settings: OperatorSettings, request: IncomingMessage): Promise<Answer> {
  const { method = '' } = request;
  // A proxy may send the whole URL (RFC 9112, absolute form).
  const path = (request.url ?? '/').replace(/^https?:\/\/[^/?#]*/i, '').split(/[?#]/)[0] ?? '/';
  if (path.startsWith('/admin/')) return answerAdmin(settings, { method, path }, request);
  // HAProxy's `option httpchk` without arguments sends this.
  if (method === 'OPTIONS' && (path === '/' || path === '*')) return answerReady(settings);
  if (method !== 'GET' && method !== 'HEAD') return plain(405, 'method not allowed');
  switch (path) {
    case '/health':
      return json(200, { healthy: true });
    case '/ready':
      return answerReady(settings);
    case '/metrics': {
      const { contentType, text } = await settings.metrics();
      return { status: 200, contentType, text };
    }
    default:
      return plain(404, 'not found');
  }
}

function answerReady({ readiness }: Pick<OperatorSettings, 'readiness'>): Answer {
  const state = readiness();
  return json(state.ready ? 200 : 503, state);
}

async function answerAdmin(
  { admin: adminNow, onFault }: OperatorSettings,
  { method, path }: { readonly method: string; readonly path: string },
  request: IncomingMessage,
): Promise<Answer> {
  const admin = adminNow();
  if (admin === undefined) return plain(404, 'not found');
  const { kind, id, door } = admin;
  if (path === ADMIN_CHALLENGE_PATH) {
    return method === 'POST' ? json(200, { kind, id, challenge: door.challenge() }) : plain(405, 'POST it');
  }
  if (!hasAdminPath(admin, path)) return plain(404, 'not found');
  const body = await readBody(request);
  const proved = door.check(request.headers.authorization, { method, path, body });
  if (proved === undefined) return json(401, { error: 'unauthorised' });
  const asked = { method, path, body };
  const { status, body: reply } = await answerAdminRequest(admin, asked).catch((fault: unknown) => {
    onFault(fault);
    // With a proof too: without one the operator's tool would report an impostor.
    return { status: 500, body: { error: 'internal: the log of the process says why' } };
  });
  const answer = json(status, reply);
  return { ...answer, headers: { [ADMIN_PROOF_HEADER]: proved.prove(status, answer.text) } };
}

/** A body that is too long is cut, and no schema accepts that. */
async function readBody(request: IncomingMessage): Promise<string> {
  let text = '';
  request.setEncoding('utf8');
  const chunks: AsyncIterable<string> = request;
  for await (const chunk of chunks) {
    if (text.length <= MAX_ADMIN_BODY_LENGTH) text += chunk;
  }
  return text.slice(0, MAX_ADMIN_BODY_LENGTH);
}

const OPERATOR_LISTEN_SETTINGS = {
  port: 'PLENARY_OPERATOR_PORT',
  host: 'PLENARY_OPERATOR_HOST (or PLENARY_HOST)',
};

/** Few clients connect here, and briefly: these limits bound what a stranger can occupy. */
const LIMITS = {
  // Applies to TLS only.
  handshakeTimeout: TLS_HANDSHAKE_MS,
  // Allows health checks and scrapers of any kind.
  maxHeaderSize: 32_768,
  requireHostHeader: false,
  requestTimeout: 5_000,
  headersTimeout: 5_000,
  // By default Node looks for silent connections only every 30 s.
  connectionsCheckingInterval: 1_000,
  keepAliveTimeout: 10_000,
} as const;
/** Beyond it the oldest connections are closed: a health check that found no place would have the process killed. */
const MAX_CONNECTIONS = 256;
const CONNECTIONS_PER_ADDRESS = 192;

export class OperatorServer {
  readonly #server: Server;
  readonly #tls: TlsFiles | undefined;
  readonly #lines = new RareLines(systemClock);

  /** @param tls - the certificate; with it the server speaks TLS */
  constructor(settings: OperatorSettings, tls?: TlsFiles) {
    const listener = guardCallback('http', async (request: IncomingMessage, response: ServerResponse) => {
      let answer: Answer;
      try {
        answer = await answerOperator(settings, request);
      } catch (fault) {
        settings.onFault(fault);
        answer = plain(500, 'internal error');
      }
      send(request, response, answer);
    });
    this.#tls = tls;
    this.#server =
      tls === undefined
        ? createServer(LIMITS, listener)
        : createTlsServer({ ...LIMITS, ...tls.read() }, listener);
    const guard = new PortGate({
      ...PORT_GUARD_LIMITS,
      maxUnproven: MAX_CONNECTIONS,
      maxPerAddress: CONNECTIONS_PER_ADDRESS,
      closesOfAddress: 'oldest',
      clock: systemClock,
      onRefused: (reason) => {
        this.#lines.say(reason, (unsaid) => {
          settings.logger.warn(
            { reason, ...leftOut(unsaid) },
            'a connection to the operators’ port was closed: too many are open',
          );
        });
      },
    });
    guardConnections(this.#server, guard);
    answerOddHttp(this.#server);
  }

  /** @throws Error with the setting's name if the port cannot be listened on */
  listen(port: number, host: string): Promise<void> {
    return new Promise((resolve, reject) => {
      // The listener stays: without it a connection that cannot be accepted would end the process.
      this.#server.on(
        'error',
        guardCallback('http', (error: NodeJS.ErrnoException) => {
          reject(new Error(listenFault(OPERATOR_LISTEN_SETTINGS, port, host, error)));
        }),
      );
      this.#server.listen(
        port,
        host,
        guardCallback('http', () => {
          this.#tls?.follow(this.#server);
          resolve();
        }),
      );
    });
  }

  close(): void {
    this.#tls?.stop();
    this.#lines.close();
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  const { status, contentType, text, headers = {} } = answer;
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    ...headers,
  });
  response.end(request.method === 'HEAD' ? undefined : text);
}
