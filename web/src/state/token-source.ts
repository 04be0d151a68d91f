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

/** A token is used for at most this long after it was fetched; the edges make them for ten minutes. */
const FRESH_MS = 60_000;
const FETCH_TIMEOUT_MS = 10_000;

const GUEST_TOKEN_REPLY = z.object({
  token: TOKEN_TEXT,
  edges: z.array(EDGE_HINT).max(64),
});
const ERROR_REPLY = z.object({ error: WIRE_ERROR });

/**
 * What stands between page and edge may answer in its place, with any status: an ingress without an edge says 404 or 503 while a
 * new release is rolled out. Only an edge's own error says that asking again is no use.
 */
const codeOf = (status: number): ErrorCode => (status === 429 ? 'rate_limited' : 'timed_out');

/** `undefined` where it is none, as the page of a proxy. */
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

/** Gets guest tokens from the edge that serves the page, ahead of the join, so that joining need not wait for one. */
export class TokenSource {
  readonly #request: TokenRequest;
  readonly #fetch: typeof fetch;
  #fetched: Fetched | undefined;

  constructor(request: TokenRequest, fetchFrom: typeof fetch = (input, init) => fetch(input, init)) {
    this.#request = request;
    this.#fetch = fetchFrom;
  }

  /** Fetches a token for this name, unless a fresh one is there. {@link get} tells of a failure, too. */
  prefetch(displayName: string, failed: (error: PlenaryError) => void = () => undefined): void {
    this.#token(displayName).catch((thrown: unknown) => failed(toPlenaryError(thrown)));
  }

  /** @throws PlenaryError what the edge refused with, or `timed_out` when it does not answer */
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
    // A refusal is not kept: the next attempt asks again.
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
        codeOf(response.status),
        `The answer to the request for a token was ${response.status}.`,
      );
    }
    if (body === undefined) throw new PlenaryError('timed_out', 'Something else answered for the edge.');
    const reply = GUEST_TOKEN_REPLY.safeParse(body);
    if (!reply.success)
      throw new PlenaryError('malformed_message', 'The token reply.', { cause: reply.error });
    // A guest comes back as another one, under the name that they have by then.
    return { token: reply.data.token, edgeUrls: reply.data.edges.map(({ url }) => url), canRejoin: false };
  }
}
