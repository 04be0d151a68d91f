import { digestOf } from '../digest.ts';
import { siteOf } from '../limits/address-keys.ts';
import type { ClientSocket } from '../transport/client-socket.ts';

/**
 * A digest of the network that a client comes from, by which a media node tells people apart who find no path to it; of IPv6
 * the site, since one person has many networks there. Nothing of a client whose connection is gone.
 */
export function networkOf(socket: Pick<ClientSocket, 'address'> | undefined): { readonly network?: string } {
  if (socket === undefined) return {};
  return { network: digestOf(siteOf(socket.address)) };
}
