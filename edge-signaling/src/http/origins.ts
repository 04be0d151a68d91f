import { PlenaryError } from '@plenary/cluster';

/** What a page of another site is refused with; the reason tells it from what a token does not grant. */
export const originRefused = (): PlenaryError =>
  new PlenaryError('forbidden', 'The origin of the page is not allowed.', { detail: { reason: 'origin' } });

/** Whether a page of this origin may open a socket. */
export type OriginCheck = (origin: string | undefined) => boolean;

export interface OriginSettings {
  readonly allowed: '*' | ReadonlySet<string> | undefined;
  readonly publicUrl: string;
  /** The origins of all edges, which may serve the page too. */
  readonly edgeUrls: () => readonly string[];
}

const LOOPBACK_HOSTS = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * Browsers name the page's origin on each WebSocket, and no page can change that; what names none is no browser, and its
 * token alone counts (SPEC HT2, HT7). Allowed are the origins of this cluster's edges, those that are configured beside them, and, when
 * this edge itself is reached by loopback, every loopback origin, so that a development server may serve the page.
 */
export function createOriginCheck({ allowed, publicUrl, edgeUrls }: OriginSettings): OriginCheck {
  const isLocal = isLoopback(publicUrl);
  return (origin) => {
    if (origin === undefined || allowed === '*') return true;
    if (allowed?.has(origin) === true || origin === publicUrl || edgeUrls().includes(origin)) return true;
    return isLocal && isLoopback(origin);
  };
}

export function isLoopback(origin: string): boolean {
  if (!URL.canParse(origin)) return false;
  const { protocol, hostname } = new URL(origin);
  return /^https?:$/.test(protocol) && (LOOPBACK_HOSTS.has(hostname) || hostname.endsWith('.localhost'));
}
