import { z } from 'zod';

const CLAIMS = z.object({ exp: z.number() });

/**
 * For how many seconds a token has been over by this machine's clock, negative before its end; `undefined` where it does not
 * say. Its signature is for the edges to check.
 */
export function endedAgoSeconds(token: string, nowMs = Date.now()): number | undefined {
  const [, payload = ''] = token.split('.');
  try {
    const claims = CLAIMS.safeParse(JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/'))));
    return claims.success ? nowMs / 1_000 - claims.data.exp : undefined;
  } catch {
    // An application may well be given something else than a token: the edge says what is wrong with it.
    return undefined;
  }
}
