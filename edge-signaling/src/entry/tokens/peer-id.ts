import { createHmac } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { PEER_ID } from '@plenary/cluster/ids';
import type { PeerId, RequestId, RoomId } from '@plenary/cluster/ids';
import type { SessionKeyJwk } from '@plenary/cluster/protocol';

/**
 * The id of the peer that a join makes. It follows from the join itself, so that a repeat finds the same peer on
 * whichever edge it arrives (SPEC SE2), and from a key of the cluster, so that nobody can guess it. Who repeats somebody
 * else's join with a key of their own is another peer, and so is the same subject of another tenant, which the room's id names.
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
  // JSON keeps the parts apart: no choice of subject and room gives the text of another choice.
  const { x, y } = join.sessionKey;
  const text = JSON.stringify(['peer', join.subject, join.roomId, join.requestId, x, y]);
  const digest = createHmac('sha256', key).update(text).digest();
  return PEER_ID.parse(digest.subarray(0, 16).toString('base64url'));
}
