import { DATACENTER_ID, ROOM_NAME, type DatacenterId, type RoomName } from '@plenary/cluster/protocol';

/** Which page an address means. */
export type PageRoute =
  | { readonly page: 'landing' }
  | { readonly page: 'bad-room'; readonly name: string }
  | {
      readonly page: 'room';
      readonly roomId: RoomName;
      readonly datacenter: DatacenterId | undefined;
      /** A ready join token, from `#token=` or, where a fragment cannot be passed on, `?token=`. */
      readonly token: string | undefined;
    };

/**
 * Reads the page's address. A token belongs into the fragment, which no server ever logs.
 *
 * Those who spell a name differently meet: with capitals, in full width, or with what a copied link has around it. A token is for the
 * name that its application spelled.
 */
export function parseRoute(url: URL): PageRoute {
  const match = /^\/r\/(.*?[^/])\/*$/i.exec(url.pathname);
  if (match?.[1] === undefined) return { page: 'landing' };
  let name = match[1];
  try {
    name = decodeURIComponent(name);
  } catch {
    // A stray % is not an encoding: the name is shown as it stands, and refused below.
  }
  const datacenter = DATACENTER_ID.safeParse(url.searchParams.get('dc'));
  const token = new URLSearchParams(url.hash.slice(1)).get('token') ?? url.searchParams.get('token');
  const hasToken = token !== null && token !== '';
  const roomId = ROOM_NAME.safeParse(hasToken ? name : spelledAlike(name));
  if (!roomId.success) return { page: 'bad-room', name };
  return {
    page: 'room',
    roomId: roomId.data,
    datacenter: datacenter.success ? datacenter.data : undefined,
    token: hasToken ? token : undefined,
  };
}

function spelledAlike(name: string): string {
  return name
    .normalize('NFKC')
    .replace(/\p{Format}/gu, '')
    .trim()
    .toLowerCase();
}

/** Whether a room's bare address leads back to it: that of a name with capitals leads to another one. */
export function hasAddress(roomId: RoomName): boolean {
  return spelledAlike(roomId) === roomId;
}

/** The address of a room's page. */
export function roomPath(roomId: RoomName): string {
  return `/r/${roomId}`;
}

/**
 * Whether an address that was pasted over the one of this page brings a token that this page does not have. Browsers load no page anew
 * where the fragment alone differs, so whoever pasted it would go on without it.
 */
export function bringsToken(shown: PageRoute, pasted: PageRoute): boolean {
  if (pasted.page !== 'room' || pasted.token === undefined) return false;
  return shown.page !== 'room' || shown.token !== pasted.token;
}
