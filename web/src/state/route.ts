import { DATACENTER_ID, ROOM_NAME, type DatacenterId, type RoomName } from '@plenary/cluster/protocol';

/** The page of an address. */
export type PageRoute =
  | { readonly page: 'landing' }
  | { readonly page: 'bad-room'; readonly name: string }
  | {
      readonly page: 'room';
      readonly roomId: RoomName;
      readonly datacenter: DatacenterId | undefined;
      /** A ready join token from `#token=`, or from `?token=` for senders that cannot pass a fragment. */
      readonly token: string | undefined;
    };

/**
 * Reads the page's address. A token belongs in the fragment, which no server logs.
 *
 * Different spellings of a name lead to the same room: capitals, full-width letters, or invisible characters of a copied link. With a
 * token the name is used as the application spelled it.
 */
export function parseRoute(url: URL): PageRoute {
  const match = /^\/r\/(.*?[^/])\/*$/i.exec(url.pathname);
  if (match?.[1] === undefined) return { page: 'landing' };
  let name = match[1];
  try {
    name = decodeURIComponent(name);
  } catch {
    // A stray % is not an encoding: the name stays as it is, and is refused below.
  }
  const datacenter = DATACENTER_ID.safeParse(url.searchParams.get('dc'));
  const token = new URLSearchParams(url.hash.slice(1)).get('token') ?? url.searchParams.get('token');
  const hasToken = token !== null && token !== '';
  const roomId = ROOM_NAME.safeParse(hasToken ? name : normalisedName(name));
  if (!roomId.success) return { page: 'bad-room', name };
  return {
    page: 'room',
    roomId: roomId.data,
    datacenter: datacenter.success ? datacenter.data : undefined,
    token: hasToken ? token : undefined,
  };
}

function normalisedName(name: string): string {
  return name
    .normalize('NFKC')
    .replace(/\p{Format}/gu, '')
    .trim()
    .toLowerCase();
}

/** Whether a room's address without a token leads to that room. An address with capitals leads to another one. */
export function hasAddress(roomId: RoomName): boolean {
  return normalisedName(roomId) === roomId;
}

/** The address of a room's page. */
export function roomPath(roomId: RoomName): string {
  return `/r/${roomId}`;
}

/**
 * Whether an address that was pasted over this page's address has a token that this page lacks. Browsers do not reload a page when only
 * the fragment differs, so the page would ignore the token.
 */
export function hasNewToken(shown: PageRoute, pasted: PageRoute): boolean {
  if (pasted.page !== 'room' || pasted.token === undefined) return false;
  return shown.page !== 'room' || shown.token !== pasted.token;
}
