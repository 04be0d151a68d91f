import { siteOf } from '../../limits/address-keys.ts';
import type { Entrant } from '../../entry/gates/entry-gate.ts';
import type { ClientConnection } from '../../entry/client-connection.ts';

/**
 * The owner of an entry at a gate.
 * @param peer - whom the client claims to be, by its token or its session: it only sorts the entries of one site
 */
export function entrantOf({ socket }: ClientConnection, peer: string, isWanted: () => boolean): Entrant {
  return { owner: { address: siteOf(socket.address), peer }, isWanted };
}
