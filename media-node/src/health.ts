import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '@plenary/cluster';
import type { NodeMetrics } from './metrics.ts';

/** Whether to send this node new work, and why not. */
export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

/**
 * Answers `/health` (the process is well), `/ready` (send it new work) and `/metrics`. Liveness never depends on the store
 * or on workers: an orchestrator must not kill a node whose meetings go on.
 */
export function healthHandler(
  readiness: () => Readiness,
  metrics: NodeMetrics,
  logger: Logger,
): (request: IncomingMessage, response: ServerResponse) => void {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = (request.url ?? '/').split('?')[0];
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      send(response, 405, 'text/plain', 'method not allowed\n');
    } else if (path === '/health') {
      send(response, 200, 'application/json', '{"healthy":true}\n');
    } else if (path === '/ready') {
      const state = readiness();
      send(response, state.ready ? 200 : 503, 'application/json', `${JSON.stringify(state)}\n`);
    } else if (path === '/metrics') {
      send(response, 200, metrics.registry.contentType, await metrics.registry.metrics());
    } else {
      send(response, 404, 'text/plain', 'not found\n');
    }
  };
  return (request, response) => {
    answer(request, response).catch((error: unknown) => {
      metrics.errors.inc({ where: 'http', code: 'internal' });
      logger.error({ err: error, url: request.url }, 'an HTTP request failed');
      if (!response.headersSent) send(response, 500, 'text/plain', 'internal error\n');
    });
  };
}

function send(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, { 'content-type': contentType, 'cache-control': 'no-store' });
  response.end(body);
}
