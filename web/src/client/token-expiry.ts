import { z } from 'zod';

const CLAIMS = z.object({ exp: z.number() });

/**
 * Returns the seconds since a token expired by this machine's clock: negative before expiry, `undefined` for a token without a
 * readable expiry. The edges check the signature.
 */
export function secondsSinceExpiry(token: string, nowMs = Date.now()): number | undefined {
  const [, payload = ''] = token.split('.');
  try {
    const claims = CLAIMS.safeParse(JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/'))));
    return claims.success ? nowMs / 1_000 - claims.data.exp : undefined;
  } catch {
    // The application may have passed something that is not a token. The edge reports what is wrong with it.
    return undefined;
  }
}
