import { z } from 'zod';
import { DATACENTER_ID, ROOM_NAME, TENANT_ID } from '../protocol/ids.ts';
import type { TenantId } from '../protocol/ids.ts';
import { TRACK_SOURCE } from '../protocol/media.ts';
import { DISPLAY_NAME, ROLE } from '../protocol/room.ts';
import { lineText } from '../protocol/text.ts';
import type { JoinKeys } from './join-keys.ts';
import { keyOfSecret, signClaims, verifyClaims } from './signed.ts';

/** A join token may live for ten minutes at most, and is refused when it is older (SPEC TK1). */
export const MAX_JOIN_TOKEN_SECONDS = 600;
const AUDIENCE = 'plenary-join';

/** Who a person is for the application that made the token. */
export const SUBJECT = lineText(128).min(1);

/** What a join token grants. */
export const JOIN_GRANTS = z.object({
  sub: SUBJECT,
  room: ROOM_NAME,
  name: DISPLAY_NAME.optional(),
  role: ROLE,
  /** Which sources may be published. */
  publish: z.array(TRACK_SOURCE).max(8),
  /** Where the person is, when the application knows it; else the edge's datacenter counts. */
  datacenter: DATACENTER_ID.optional(),
  /** Whether it is for anybody, as an edge makes it for a guest: such a person is known by nothing that lasts. */
  guest: z.boolean().optional(),
});
export type JoinGrants = z.infer<typeof JOIN_GRANTS>;

/**
 * Makes a join token: a JWT signed with an API key's secret (HS256), whose `kid` and `iss` are the API key.
 * @param lifetimeSeconds - 1 to {@link MAX_JOIN_TOKEN_SECONDS}
 */
export async function signJoinToken(
  apiKey: string,
  apiSecret: string,
  grants: z.input<typeof JOIN_GRANTS>,
  lifetimeSeconds = MAX_JOIN_TOKEN_SECONDS,
): Promise<string> {
  const claims = JOIN_GRANTS.parse(grants);
  return signClaims(keyOfSecret(apiSecret), { audience: AUDIENCE, issuer: apiKey, lifetimeSeconds, claims });
}

/** What a join token proves: its grants, and whose they are. */
export interface VerifiedJoin {
  readonly grants: JoinGrants;
  /** The API key that the token is of. */
  readonly tenantId: TenantId;
  readonly issuedAtSeconds: number;
}

/** @throws PlenaryError `token_expired`, `token_invalid`, `keys_unavailable` */
export async function verifyJoinToken(token: string, keys: Pick<JoinKeys, 'find'>): Promise<VerifiedJoin> {
  const { claims, issuer, issuedAtSeconds } = await verifyClaims(token, JOIN_GRANTS, {
    audience: AUDIENCE,
    maxAgeSeconds: MAX_JOIN_TOKEN_SECONDS,
    findSigner: (named) => keys.find(named),
  });
  return { grants: claims, tenantId: TENANT_ID.parse(issuer), issuedAtSeconds };
}
