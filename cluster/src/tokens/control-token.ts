import { CONTROL_CALLER } from '../protocol/edge-media.ts';
import type { ControlCaller } from '../protocol/edge-media.ts';
import type { MediaNodeId } from '../protocol/ids.ts';
import { keyOfSecret, secretKey, signClaims, verifyClaims } from './signed.ts';

/** A control token opens one link and then has no use: it lives as long as a handshake may take. */
export const CONTROL_TOKEN_SECONDS = 30;
const ISSUER = 'cluster';
const audienceOf = (mediaNodeId: MediaNodeId): string => `plenary-control:${mediaNodeId}`;

/** Proves to a media node that the caller belongs to the cluster (SPEC CL1). */
export async function signControlToken(
  clusterSecret: string,
  mediaNodeId: MediaNodeId,
  caller: ControlCaller,
): Promise<string> {
  return signClaims(keyOfSecret(clusterSecret), {
    audience: audienceOf(mediaNodeId),
    issuer: ISSUER,
    lifetimeSeconds: CONTROL_TOKEN_SECONDS,
    claims: { ...caller },
  });
}

/** @throws PlenaryError `token_expired`, `token_invalid` */
export async function verifyControlToken(
  clusterSecret: string,
  mediaNodeId: MediaNodeId,
  token: string,
): Promise<ControlCaller> {
  const { claims } = await verifyClaims(token, CONTROL_CALLER, {
    audience: audienceOf(mediaNodeId),
    maxAgeSeconds: CONTROL_TOKEN_SECONDS,
    findSigner: () => ({ issuer: ISSUER, keys: [secretKey(clusterSecret)] }),
  });
  return claims;
}
