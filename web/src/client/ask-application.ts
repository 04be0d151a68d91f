import { withDeadline } from '@plenary/cluster/deadline';
import { PlenaryError } from '@plenary/cluster/errors';
import { HTTP_URL, TOKEN_TEXT } from '@plenary/cluster/protocol';
import { z } from 'zod';
import type { MeetingOptions, TokenGrant } from './meeting-types.ts';
import { pageTimers } from './page-timers.ts';

/** Time limit for `getToken` of the application, in milliseconds. */
export const TOKEN_WITHIN_MS = 15_000;

const GRANT = z.union([
  TOKEN_TEXT.transform((token) => ({ token })),
  z.object({
    token: TOKEN_TEXT,
    edgeUrls: z.array(HTTP_URL).max(64).optional(),
    canRejoin: z.boolean().optional(),
  }),
]);

export type GetToken = NonNullable<MeetingOptions['getToken']>;

/**
 * Requests a token from the application. The call always ends in time, with a valid token or an error that names the application as
 * the cause. The hook is foreign code and may not be typed.
 *
 * @throws PlenaryError the hook's own PlenaryError, else `token_unavailable`
 */
export async function requestToken(
  getToken: GetToken,
  request: { readonly fresh: boolean },
): Promise<TokenGrant> {
  try {
    const given = await withDeadline(pageTimers, TOKEN_WITHIN_MS, callHook(getToken, request), () => {
      throw new PlenaryError('token_unavailable', 'getToken did not answer in time.');
    });
    const grant = GRANT.safeParse(given);
    if (grant.success) return grant.data;
    // The value is not in the message, because it may contain part of a token, which must not reach a log.
    throw new PlenaryError('token_unavailable', 'getToken gave neither a token nor { token, … }.');
  } catch (thrown) {
    if (thrown instanceof PlenaryError) throw thrown;
    throw new PlenaryError('token_unavailable', 'getToken failed.', { cause: thrown });
  }
}

/** Turns a synchronous throw of the hook into a rejection. */
async function callHook(getToken: GetToken, request: { readonly fresh: boolean }): Promise<unknown> {
  return getToken(request);
}
