import { createHmac } from 'node:crypto';
import type { Role, TrackSource } from '@plenary/cluster/protocol';

/** The API key with which an application signs join tokens. */
export interface ApiCredentials {
  readonly apiKey: string;
  readonly apiSecret: string;
}

export interface Grants {
  /** The application's id of the person. */
  readonly subject: string;
  readonly roomId: string;
  readonly displayName?: string;
  readonly role?: Role;
  readonly publish?: readonly TrackSource[];
  /** The person's datacenter; the edge's by default. */
  readonly datacenter?: string;
}

const LIFETIME_SECONDS = 600;

/**
 * Makes a join token as an application would that knows nothing of our code but `docs/protocol.md`: a JWT signed with
 * HS256, whose `kid` and `iss` are the API key. The k6 script does the same with k6's own means.
 */
export function makeJoinToken({ apiKey, apiSecret }: ApiCredentials, grants: Grants): string {
  const issuedAt = Math.floor(Date.now() / 1_000);
  const signed = [
    { alg: 'HS256', typ: 'JWT', kid: apiKey },
    {
      sub: grants.subject,
      room: grants.roomId,
      name: grants.displayName ?? grants.subject,
      role: grants.role ?? 'speaker',
      publish: grants.publish ?? ['microphone', 'camera'],
      ...(grants.datacenter === undefined ? {} : { datacenter: grants.datacenter }),
      iss: apiKey,
      aud: 'plenary-join',
      iat: issuedAt,
      exp: issuedAt + LIFETIME_SECONDS,
    },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${signed}.${createHmac('sha256', apiSecret).update(signed).digest('base64url')}`;
}
