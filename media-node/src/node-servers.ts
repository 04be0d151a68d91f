import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import {
  answering,
  answerOddHttp,
  AuthorityFile,
  guardCallback,
  guardConnections,
  guardWebSockets,
  listenFault,
  OperatorServer,
  PORT_GUARD_LIMITS,
  PortGate,
  TLS_HANDSHAKE_MS,
  TlsFiles,
} from '@plenary/cluster';
import type { AdminSettings, Clock, Logger, Readiness } from '@plenary/cluster';
import type { MediaNodeConfig } from './config.ts';
import type { NodeMetrics } from './metrics.ts';
import { StartRefused } from './start-refused.ts';

/**
 * Accepts health checks and scrapers of any kind, and bounds how long an incomplete request may hold a connection.
 */
const HTTP_OPTIONS: ServerOptions = {
  maxHeaderSize: 32_768,
  requireHostHeader: false,
  headersTimeout: 10_000,
  requestTimeout: 20_000,
  connectionsCheckingInterval: 2_000,
  shouldUpgradeCallback: answering(
    'http',
    false,
    ({ headers }: IncomingMessage) => headers.upgrade?.toLowerCase() === 'websocket',
  ),
};

export interface NodeServersOptions {
  readonly config: Pick<MediaNodeConfig, 'host' | 'port' | 'operators'>;
  readonly view: { readiness(): Readiness; admin(): AdminSettings | undefined };
  readonly clock: Clock;
  readonly metrics: NodeMetrics;
  readonly logger: Logger;
}

/** The two ports of the process, for operators and for control links, and the certificates of both. */
export class NodeServers {
  readonly #options: NodeServersOptions;
  readonly #operators: OperatorServer;
  readonly #controlTls: TlsFiles | undefined;
  /** The server that carries control links. */
  readonly http: Server;
  /** Watches connections to the control port until their callers have authenticated. */
  readonly guard: PortGate;
  /** The authorities that this node accepts when it opens links. */
  readonly caFile: AuthorityFile | undefined;

  /**
   * @throws Error when a certificate or an authority cannot be read, so that the start fails rather than the first
   *   link
   */
  constructor(options: NodeServersOptions) {
    const { config, view, clock, metrics, logger } = options;
    const { tls, caFile } = config.operators;
    const tlsFiles = (): TlsFiles | undefined => (tls === undefined ? undefined : new TlsFiles(tls, logger));
    this.#options = options;
    this.caFile = caFile === undefined ? undefined : new AuthorityFile(caFile);
    this.caFile?.current();
    this.#operators = new OperatorServer(
      {
        readiness: () => view.readiness(),
        metrics: async () => ({
          contentType: metrics.registry.contentType,
          text: await metrics.registry.metrics(),
        }),
        admin: () => view.admin(),
        onFault: (error) => {
          metrics.errors.inc({ where: 'http', code: 'internal' });
          logger.error({ err: error }, 'operator request failed');
        },
        logger,
      },
      tlsFiles(),
    );
    this.#controlTls = tlsFiles();
    this.http =
      this.#controlTls === undefined
        ? createServer(HTTP_OPTIONS, nothingHere)
        : createTlsServer(
            { ...HTTP_OPTIONS, handshakeTimeout: TLS_HANDSHAKE_MS, ...this.#controlTls.read() },
            nothingHere,
          );
    answerOddHttp(this.http);
    this.guard = new PortGate({
      ...PORT_GUARD_LIMITS,
      clock,
      onRefused: (reason) => metrics.refusedConnections.inc({ reason }),
    });
    guardConnections(this.http, this.guard);
    guardWebSockets(this.http, this.guard);
  }

  /** Opens both ports. @throws StartRefused that names the setting, when a port is taken */
  async listen(): Promise<void> {
    const { operators } = this.#options.config;
    await this.#operators.listen(operators.port, operators.host);
    await this.#listenForControl();
    this.#controlTls?.follow(this.http);
  }

  /** Closes both ports. Resolves when the control port is free. */
  async close(): Promise<void> {
    this.#controlTls?.stop();
    this.#operators.close();
    this.http.closeAllConnections();
    if (!this.http.listening) return;
    await new Promise<void>((resolve) => {
      this.http.close(
        guardCallback('http', () => {
          resolve();
        }),
      );
    });
  }

  #listenForControl(): Promise<void> {
    const { config, metrics, logger } = this.#options;
    const { host, port } = config;
    return new Promise((resolve, reject) => {
      const fail = guardCallback('http', (error: NodeJS.ErrnoException): void => {
        const settings = { port: 'PLENARY_PORT', host: 'PLENARY_HOST' };
        reject(new StartRefused(listenFault(settings, port, host, error)));
      });
      this.http.once('error', fail);
      this.http.listen(
        port,
        host,
        guardCallback('http', () => {
          this.http.off('error', fail);
          this.http.on(
            'error',
            guardCallback('http', (error) => {
              metrics.errors.inc({ where: 'http', code: 'internal' });
              logger.error({ err: error }, 'control port failed; open links continue');
            }),
          );
          resolve();
        }),
      );
    });
  }
}

/** The control port speaks Socket.IO; any other request to it gets 404 (SPEC OP7). */
const nothingHere = guardCallback('http', (_request: IncomingMessage, response: ServerResponse) => {
  response.writeHead(404, { 'content-type': 'text/plain' });
  response.end('not found\n');
});
