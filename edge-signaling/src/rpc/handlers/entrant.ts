import { keysOf } from '../../limits/address-keys.ts';
import type { Entrant } from '../../limits/entry-gate.ts';
import type { Connection } from '../../session/connection.ts';

/**
 * Who waits at a gate.
 * @param peer - whom the client claims to be, by its token or its session: it only sorts the entries of one address
 */
export function entrantOf({ socket }: Connection, peer: string, isWanted: () => boolean): Entrant {
  return { owner: { address: keysOf(socket.address)[0]?.key ?? '', peer }, isWanted };
}
