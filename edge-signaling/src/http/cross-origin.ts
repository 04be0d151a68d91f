import { originRefused } from './origins.ts';
import type { OriginCheck } from './origins.ts';
import type { HttpRequest, HttpResponse } from './port.ts';

/**
 * Whose pages may read the answers of a path. `any site` is for what says nothing of anybody; those may also see how long
 * an answer took.
 */
export type Readers = 'any site' | OriginCheck;

/** How long a browser may keep the answer to a preflight, in seconds. */
const PREFLIGHT_SECONDS = '600';

/**
 * The headers that let a page of another origin read an answer, whichever answer it is: a page that cannot read why it was
 * refused can tell nobody (SPEC PR6).
 */
export function readableBy(readers: Readers, request: HttpRequest): Readonly<Record<string, string>> {
  if (readers === 'any site') return { 'access-control-allow-origin': '*', 'timing-allow-origin': '*' };
  const origin = request.header('origin');
  const allowed: Record<string, string> =
    origin !== undefined && readers(origin) ? { 'access-control-allow-origin': origin } : {};
  return { ...allowed, vary: 'origin' };
}

/** Answers what a browser asks before it sends a request of another origin. @throws PlenaryError `forbidden` */
export function answerPreflight(
  readers: Readers,
  request: HttpRequest,
  methods: readonly string[],
): HttpResponse {
  if (readers !== 'any site' && !readers(request.header('origin'))) throw originRefused();
  return {
    status: 204,
    headers: {
      allow: [...methods, 'OPTIONS'].join(', '),
      'access-control-allow-methods': methods.join(', '),
      'access-control-allow-headers': 'content-type',
      'access-control-max-age': PREFLIGHT_SECONDS,
    },
    body: '',
  };
}
