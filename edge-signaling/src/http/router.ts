import { PlenaryError, toPlenaryError } from '@plenary/cluster';
import type { ErrorCode } from '@plenary/cluster';
import { demandAllowed } from '../limits/meter.ts';
import type { EdgeBudgets } from '../limits/meter.ts';
import { answerPreflight, readableBy } from './cross-origin.ts';
import type { Readers } from './cross-origin.ts';
import { json } from './port.ts';
import type { HttpHandler, HttpRequest, HttpResponse } from './port.ts';

/** The status that fits an error; what is not listed is 500. */
const STATUS_OF: Partial<Record<ErrorCode, number>> = {
  malformed_message: 400,
  message_too_large: 413,
  forbidden: 403,
  guests_not_allowed: 403,
  rate_limited: 429,
  unknown_message: 404,
  store_unavailable: 503,
  no_media_node: 503,
  shutting_down: 503,
};

/** Sent with everything: nothing here is to be guessed or told to other sites, or framed by any that is not configured. */
const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'camera=(self), microphone=(self), display-capture=(self), geolocation=()',
};

export interface RouterSettings {
  /** Handlers by method and path, such as `GET /health`. */
  readonly routes: Readonly<Record<string, HttpHandler>>;
  /** Routes that nobody pays for: they have to be cheap. Whoever shares an address with a probe would take the edge out of service. */
  readonly free: readonly string[];
  /** Paths whose answers pages of other origins may read, and which pages; nobody else's can read any. */
  readonly readers: Readonly<Record<string, Readers>>;
  /** Answers what no route does. */
  readonly otherwise: HttpHandler;
  readonly contentSecurityPolicy: string;
  /** Whether some sites may show the page in a frame: then the policy names them. */
  readonly isEmbeddable: boolean;
  /** What addresses pay for requests (SPEC BU21). */
  readonly budgets: Pick<EdgeBudgets, 'chargeHttp' | 'spendHttp'>;
  readonly onFault: (fault: unknown) => void;
}

/** Carries a request to its handler. Never throws: an error becomes `{error}` with a status that fits. */
export function createRouter(settings: RouterSettings): (request: HttpRequest) => Promise<HttpResponse> {
  const methodsOf = methodsByPath(Object.keys(settings.routes));
  const readersOf = new Map(Object.entries(settings.readers));
  const free = new Set(settings.free);
  const handlerOf = (key: string, request: HttpRequest): HttpHandler => {
    const { method } = request;
    const handler = Object.hasOwn(settings.routes, key) ? settings.routes[key] : undefined;
    if (handler !== undefined) return handler;
    const methods = methodsOf.get(request.path);
    const readers = readersOf.get(request.path);
    if (method === 'OPTIONS' && methods !== undefined && readers !== undefined)
      return () => answerPreflight(readers, request, methods);
    if (methods === undefined && request.path.startsWith('/api/'))
      throw new PlenaryError('unknown_message', request.path.slice(0, 100));
    if (methods !== undefined || (method !== 'GET' && method !== 'HEAD'))
      return () => methodNotAllowed(request, methods ?? ['GET', 'HEAD']);
    return settings.otherwise;
  };
  return async (request) => {
    let response: HttpResponse;
    try {
      const key = keyOf(request);
      const isFree = free.has(key);
      if (!isFree) demandAllowed(settings.budgets.chargeHttp(request.address));
      response = await handlerOf(key, request)(request);
      if (!isFree) settings.budgets.spendHttp(request.address, sentBytes(request, response));
    } catch (thrown) {
      const error = toPlenaryError(thrown);
      if (error.code === 'internal') settings.onFault(thrown);
      response = json(STATUS_OF[error.code] ?? 500, { error: error.toWire() });
    }
    const readers = readersOf.get(request.path);
    const headers = {
      ...SECURITY_HEADERS,
      ...(readers === undefined ? {} : readableBy(readers, request)),
      // It cannot name a site; where it contradicts the policy, browsers differ.
      ...(settings.isEmbeddable ? {} : { 'x-frame-options': 'DENY' }),
      'content-security-policy': settings.contentSecurityPolicy,
      ...response.headers,
    };
    return { ...response, headers };
  };
}

/** By which a request finds its route. */
const keyOf = ({ method, path }: HttpRequest): string => `${method === 'HEAD' ? 'GET' : method} ${path}`;

/** Bytes of the body as it is sent, which of `HEAD` is not. */
const sentBytes = ({ method }: HttpRequest, { body }: HttpResponse): number =>
  method === 'HEAD' ? 0 : Buffer.byteLength(body);

/** Which methods each path has, of routes such as `GET /health`. */
function methodsByPath(routes: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const methods = new Map<string, string[]>();
  for (const route of routes) {
    const [method = '', path = ''] = route.split(' ');
    methods.set(path, [...(methods.get(path) ?? []), ...(method === 'GET' ? ['GET', 'HEAD'] : [method])]);
  }
  return methods;
}

function methodNotAllowed(request: HttpRequest, methods: readonly string[]): HttpResponse {
  const error = new PlenaryError('unknown_message', `${request.method.slice(0, 16)} is not served here.`);
  const refusal = json(405, { error: error.toWire() });
  return { ...refusal, headers: { ...refusal.headers, allow: methods.join(', ') } };
}

/**
 * What the web app may load and where it may connect. It may open sockets anywhere: a policy stands as long as the page
 * does, and a page that lives through the death of its edge goes to edges that did not exist when it was loaded.
 *
 * @param embedOrigins - sites that may show the page in a frame
 * @param publicUrl - a page that came by `https` may not connect without TLS; browsers would refuse that anyway
 */
export function contentSecurityPolicy(publicUrl: string, embedOrigins: readonly string[] = []): string {
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
    `frame-ancestors ${embedOrigins.length === 0 ? "'none'" : embedOrigins.join(' ')}`,
  ].join('; ');
}
