import { createHmac } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { PEER_ID } from '@plenary/cluster/ids';
import type { PeerId, RequestId, RoomId } from '@plenary/cluster/ids';
import type { SessionKeyJwk } from '@plenary/cluster/protocol';

/**
 * Derives the id of the peer of a join. It depends on the join, so that a repeat finds the same peer on any edge (SPEC SE2, SE24),
 * and on a key of the cluster, so that it cannot be guessed. An attacker who repeats another client's join with a different session
 * key becomes another peer. So does the same subject of another tenant, because the room id contains the tenant.
 */
export function derivePeerId(
  key: KeyObject,
  join: {
    readonly subject: string;
    readonly roomId: RoomId;
    readonly requestId: RequestId;
    readonly sessionKey: SessionKeyJwk;
  },
): PeerId {
  // JSON separates the parts, so that no two combinations of subject and room give the same text.
  const { x, y } = join.sessionKey;
  const text = JSON.stringify(['peer', join.subject, join.roomId, join.requestId, x, y]);
  const digest = createHmac('sha256', key).update(text).digest();
  return PEER_ID.parse(digest.subarray(0, 16).toString('base64url'));
}
