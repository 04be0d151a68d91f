import { withDeadline } from '@plenary/cluster/deadline';
import { PlenaryError } from '@plenary/cluster/errors';
import { HTTP_URL, TOKEN_TEXT } from '@plenary/cluster/protocol';
import { z } from 'zod';
import type { MeetingOptions, TokenGrant } from './meeting-types.ts';
import { pageTimers } from './page-timers.ts';

/** For so long an application may think about a person, in milliseconds. */
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
 * Asks the application for a token. Whatever its hook does, this ends in time, and with a token or an error that says whose
 * doing it was: the program that calls is somebody else's, and need not be in TypeScript.
 *
 * @throws PlenaryError what the hook refuses with, else `token_unavailable`
 */
export async function askApplication(
  getToken: GetToken,
  request: { readonly fresh: boolean },
): Promise<TokenGrant> {
  try {
    const given = await withDeadline(pageTimers, TOKEN_WITHIN_MS, called(getToken, request), () => {
      throw new PlenaryError('token_unavailable', 'getToken did not answer in time.');
    });
    const grant = GRANT.safeParse(given);
    if (grant.success) return grant.data;
    // What it gave may be a token in part, which no log shall have.
    throw new PlenaryError('token_unavailable', 'getToken gave neither a token nor { token, … }.');
  } catch (thrown) {
    if (thrown instanceof PlenaryError) throw thrown;
    throw new PlenaryError('token_unavailable', 'getToken failed.', { cause: thrown });
  }
}

/** Also what a hook throws at once becomes its answer. */
async function called(getToken: GetToken, request: { readonly fresh: boolean }): Promise<unknown> {
  return getToken(request);
}
