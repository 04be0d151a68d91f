/**
 * What docs/protocol.md says, sentence by sentence, as something to try: how a wrong use is answered, and each bound, at which all
 * is well and one past which it is not (SPEC PR9).
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
