import type { IncomingMessage, ServerResponse } from 'node:http';
import { ADMIN_DRAIN_PATH, answerDrainRequest, MAX_ADMIN_BODY_BYTES } from '@plenary/cluster';
import type { AdminSettings, Logger, StoreTrouble } from '@plenary/cluster';
import type { NodeMetrics } from './metrics.ts';

/** Whether to send this node new work, and why not. */
export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
  /** Why the store is away, or a part of it; absent while all is well. */
  readonly store?: StoreTrouble;
}

export interface HealthSettings {
  readonly readiness: () => Readiness;
  readonly metrics: NodeMetrics;
  readonly logger: Logger;
  /** For operators; absent where there is no token, or no node to drain yet. */
  readonly admin: () => AdminSettings | undefined;
}

/**
 * Answers `/health` (the process is well), `/ready` (send it new work), `/metrics`, and operators who drain it. Liveness
 * never depends on the store or on workers: an orchestrator must not kill a node whose meetings go on.
 */
export function healthHandler({
  readiness,
  metrics,
  logger,
  admin,
}: HealthSettings): (request: IncomingMessage, response: ServerResponse) => void {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    // A proxy may send the whole URL (RFC 9112, absolute form).
    const path = (request.url ?? '/').replace(/^https?:\/\/[^/?#]*/i, '').split(/[?#]/)[0];
    const settings = path === ADMIN_DRAIN_PATH ? admin() : undefined;
    if (settings !== undefined) {
      const { method = '', headers } = request;
      const answered = await answerDrainRequest(settings, {
        method,
        authorization: headers.authorization,
        body: () => readBody(request),
      });
      send(response, answered.status, 'application/json', `${JSON.stringify(answered.body)}\n`);
    } else if (request.method !== 'GET' && request.method !== 'HEAD') {
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

/** A body that is too long is cut, which no schema lets pass. */
async function readBody(request: IncomingMessage): Promise<string> {
  let text = '';
  request.setEncoding('utf8');
  const chunks: AsyncIterable<string> = request;
  for await (const chunk of chunks) {
    if (text.length <= MAX_ADMIN_BODY_BYTES) text += chunk;
  }
  return text.slice(0, MAX_ADMIN_BODY_BYTES);
}

function send(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, { 'content-type': contentType, 'cache-control': 'no-store' });
  response.end(body);
}
