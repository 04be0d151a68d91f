import { z } from 'zod';
import { DATACENTER_ID, ROOM_NAME, TENANT_ID } from '../protocol/ids.ts';
import type { TenantId } from '../protocol/ids.ts';
import { TRACK_SOURCE } from '../protocol/media.ts';
import { DISPLAY_NAME, ROLE } from '../protocol/room.ts';
import { lineText } from '../protocol/text.ts';
import type { JoinKeys } from './join-keys.ts';
import { keyOfSecret, signClaims, verifyClaims } from './signed.ts';

/** The longest lifetime of a join token, in seconds; an older one is refused (SPEC TK1). */
export const MAX_JOIN_TOKEN_SECONDS = 600;
const AUDIENCE = 'plenary-join';

/** Identifies a person for the application that made the token. */
export const SUBJECT = lineText(128).min(1);

/** The rights that a join token grants. */
export const JOIN_GRANTS = z.object({
  sub: SUBJECT,
  room: ROOM_NAME,
  name: DISPLAY_NAME.optional(),
  role: ROLE,
  /** The sources that may be published. */
  publish: z.array(TRACK_SOURCE).max(8),
  /** The person's datacenter, if the application knows it; otherwise the edge's datacenter counts. */
  datacenter: DATACENTER_ID.optional(),
  /** Whether the token is for anybody, as an edge makes one for a guest: such a person has no lasting identity. */
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

/** The content of a verified join token: its grants and its tenant. */
export interface VerifiedJoin {
  readonly grants: JoinGrants;
  /** The API key of the token. */
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
