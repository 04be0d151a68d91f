import { digestOf } from '../digest.ts';
import { siteOf } from '../limits/address-keys.ts';
import type { ClientSocket } from '../transport/client-socket.ts';

/**
 * Returns a digest of the client's network, by which a media node tells apart clients that find no path to it. For IPv6 it is
 * the digest of the site, because one person has many networks there. Empty for a client whose connection is closed.
 */
export function networkOf(socket: Pick<ClientSocket, 'address'> | undefined): { readonly network?: string } {
  if (socket === undefined) return {};
  return { network: digestOf(siteOf(socket.address)) };
}
