/**
 * The statements of docs/protocol.md, one by one, as attempts: how each wrong use is answered, and each limit, with a valid value at
 * the limit and an invalid one past it (SPEC PR9).
 */
import { HTTP_CLAIMS } from './claims-http.ts';
import { ENTRY_CLAIMS } from './claims-entry.ts';
import { MEDIA_CLAIMS } from './claims-media.ts';
import { ROOM_CLAIMS } from './claims-room.ts';
import { TOKEN_CLAIMS } from './claims-tokens.ts';
import type { Claim } from './claim.ts';

export const CLAIMS: readonly Claim[] = [
  ...HTTP_CLAIMS,
  ...TOKEN_CLAIMS,
  ...ENTRY_CLAIMS,
  ...ROOM_CLAIMS,
  ...MEDIA_CLAIMS,
];
