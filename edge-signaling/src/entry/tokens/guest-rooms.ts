import type { RoomName, TenantId } from '@plenary/cluster/ids';

/** The rooms that guests may enter: those of one tenant whose names match a pattern (SPEC TN4). */
export interface GuestRooms {
  readonly tenantId: TenantId;
  readonly isOpen: (roomName: RoomName) => boolean;
}

/** A room name in which `*` stands for any number of characters. */
const PATTERN = /^[A-Za-z0-9_*-]{1,64}$/;

/** @returns a function that tells whether a name matches one of the patterns; `undefined` if a pattern is invalid */
export function parseRoomPatterns(text: string): ((roomName: RoomName) => boolean) | undefined {
  const patterns = text.split(',').map((item) => item.trim());
  if (!patterns.every((pattern) => PATTERN.test(pattern))) return undefined;
  const pieces = patterns.map((pattern) => pattern.split('*'));
  return (roomName) => pieces.some((ofPattern) => fits(roomName, ofPattern));
}

/** Matches a name without a regular expression, in which many stars would take exponential time. */
function fits(name: string, [first = '', ...others]: readonly string[]): boolean {
  const last = others.pop();
  if (last === undefined) return name === first;
  if (!name.startsWith(first)) return false;
  let from = first.length;
  for (const piece of others) {
    const at = name.indexOf(piece, from);
    if (at === -1) return false;
    from = at + piece.length;
  }
  return name.length - last.length >= from && name.endsWith(last);
}
