import { toPlenaryError } from '@plenary/cluster';
import type { ErrorCode } from '@plenary/cluster';
import { json } from './port.ts';
import type { HttpHandler, HttpRequest, HttpResponse } from './port.ts';

/** The status that fits an error; what is not listed is 500. */
const STATUS_OF: Partial<Record<ErrorCode, number>> = {
  malformed_message: 400,
  message_too_large: 413,
  forbidden: 403,
  rate_limited: 429,
  unknown_message: 404,
  store_unavailable: 503,
  no_media_node: 503,
  shutting_down: 503,
};

/** Sent with everything: nothing here is to be framed, guessed or told to other sites. */
const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'camera=(self), microphone=(self), display-capture=(self), geolocation=()',
};

export interface RouterSettings {
  /** Handlers by method and path, such as `GET /health`. */
  readonly routes: Readonly<Record<string, HttpHandler>>;
  /** Answers what no route does. */
  readonly otherwise: HttpHandler;
  readonly contentSecurityPolicy: string;
  readonly onFault: (fault: unknown) => void;
}

/** Carries a request to its handler. Never throws: an error becomes `{error}` with a status that fits. */
export function createRouter(settings: RouterSettings): (request: HttpRequest) => Promise<HttpResponse> {
  const paths = new Set(Object.keys(settings.routes).map((key) => key.slice(key.indexOf(' ') + 1)));
  const handlerOf = (request: HttpRequest): HttpHandler => {
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    const key = `${method} ${request.path}`;
    const handler = Object.hasOwn(settings.routes, key) ? settings.routes[key] : undefined;
    if (handler !== undefined) return handler;
    if (paths.has(request.path) || method !== 'GET') return () => methodNotAllowed();
    return settings.otherwise;
  };
  return async (request) => {
    let response: HttpResponse;
    try {
      response = await handlerOf(request)(request);
    } catch (thrown) {
      const error = toPlenaryError(thrown);
      if (error.code === 'internal') settings.onFault(thrown);
      response = json(STATUS_OF[error.code] ?? 500, { error: error.toWire() });
    }
    const headers = {
      ...SECURITY_HEADERS,
      'content-security-policy': settings.contentSecurityPolicy,
      ...response.headers,
    };
    return { ...response, headers };
  };
}

function methodNotAllowed(): HttpResponse {
  return { ...json(405, { error: 'method not allowed' }), headers: { allow: 'GET, HEAD, POST' } };
}

/**
 * What the web app may load and where it may connect. It may open sockets anywhere: a policy stands as long as the page
 * does, and a page that lives through the death of its edge goes to edges that did not exist when it was loaded.
 *
 * @param publicUrl - a page that came by `https` may not connect without TLS; browsers would refuse that anyway
 */
export function contentSecurityPolicy(publicUrl: string): string {
  const schemes = publicUrl.startsWith('https:') ? 'https: wss:' : 'http: ws: https: wss:';
  return [
    "default-src 'self'",
    `connect-src 'self' ${schemes}`,
    "img-src 'self' data: blob:",
    "media-src 'self' blob: mediastream:",
    "style-src 'self' 'unsafe-inline'",
    "worker-src 'self' blob:",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; ');
}
