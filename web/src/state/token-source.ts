import { PlenaryError, toPlenaryError, type ErrorCode } from '@plenary/cluster/errors';
import {
  EDGE_HINT,
  TOKEN_TEXT,
  WIRE_ERROR,
  type DatacenterId,
  type RoomName,
} from '@plenary/cluster/protocol';
import { z } from 'zod';
import type { TokenGrant } from '../client/index.ts';

/** How long a fetched token is used, in milliseconds. The edges issue tokens for ten minutes. */
const FRESH_MS = 60_000;
const FETCH_TIMEOUT_MS = 10_000;

const GUEST_TOKEN_REPLY = z.object({
  token: TOKEN_TEXT,
  edges: z.array(EDGE_HINT).max(64),
});
const ERROR_REPLY = z.object({ error: WIRE_ERROR });

/**
 * A proxy between page and edge may answer instead of the edge, with any status: an ingress without an edge answers 404 or 503 during a
 * rollout. Only an error in the edge's own format can be final.
 */
const errorCodeFor = (status: number): ErrorCode => (status === 429 ? 'rate_limited' : 'timed_out');

/** Parses JSON; `undefined` for other text, such as a proxy's error page. */
function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

interface Fetched {
  readonly displayName: string;
  readonly atMs: number;
  readonly grant: Promise<TokenGrant>;
}

export interface TokenRequest {
  readonly roomId: RoomName;
  readonly datacenter: DatacenterId | undefined;
}

/** Fetches guest tokens from the edge that serves the page, before the join, so that the join does not wait for one. */
export class TokenSource {
  readonly #request: TokenRequest;
  readonly #fetch: typeof fetch;
  #fetched: Fetched | undefined;

  constructor(request: TokenRequest, fetchFrom: typeof fetch = (input, init) => fetch(input, init)) {
    this.#request = request;
    this.#fetch = fetchFrom;
  }

  /** Fetches a token for this name, unless there is a fresh one. {@link get} reports a failure, too. */
  prefetch(displayName: string, failed: (error: PlenaryError) => void = () => undefined): void {
    this.#token(displayName).catch((thrown: unknown) => failed(toPlenaryError(thrown)));
  }

  /** @throws PlenaryError the edge's refusal, or `timed_out` when it does not answer */
  get(displayName: string, options: { readonly fresh: boolean }): Promise<TokenGrant> {
    if (options.fresh) this.#fetched = undefined;
    return this.#token(displayName);
  }

  #token(displayName: string): Promise<TokenGrant> {
    const known = this.#fetched;
    const usable = known?.displayName === displayName && performance.now() - known.atMs < FRESH_MS;
    if (known !== undefined && usable) return known.grant;
    const fetched: Fetched = { displayName, atMs: performance.now(), grant: this.#load(displayName) };
    this.#fetched = fetched;
    // A failure is not cached: the next attempt fetches again.
    fetched.grant.catch(() => {
      if (this.#fetched === fetched) this.#fetched = undefined;
    });
    return fetched.grant;
  }

  async #load(displayName: string): Promise<TokenGrant> {
    const { roomId, datacenter } = this.#request;
    let response: Response;
    let body: unknown;
    try {
      response = await this.#fetch('/api/guest-token', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ roomId, displayName, ...(datacenter === undefined ? {} : { datacenter }) }),
        signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
      });
      const text = await response.text();
      body = readJson(text);
    } catch (thrown) {
      throw new PlenaryError('timed_out', 'The edge gave no token.', { cause: thrown });
    }
    if (!response.ok) {
      const refused = ERROR_REPLY.safeParse(body);
      if (refused.success) throw PlenaryError.fromWire(refused.data.error);
      throw new PlenaryError(
        errorCodeFor(response.status),
        `The answer to the request for a token was ${response.status}.`,
      );
    }
    if (body === undefined) throw new PlenaryError('timed_out', 'Something else answered for the edge.');
    const reply = GUEST_TOKEN_REPLY.safeParse(body);
    if (!reply.success)
      throw new PlenaryError('malformed_message', 'The token reply.', { cause: reply.error });
    // A returning guest gets a new token, for the name that they have by then.
    return { token: reply.data.token, edgeUrls: reply.data.edges.map(({ url }) => url), canRejoin: false };
  }
}
