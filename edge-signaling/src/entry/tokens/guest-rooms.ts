import type { RoomName, TenantId } from '@plenary/cluster/ids';

/** Where guests may go: into rooms of one tenant whose names fit (SPEC TN4). */
export interface GuestRooms {
  readonly tenantId: TenantId;
  readonly isOpen: (roomName: RoomName) => boolean;
}

/** A room name in which `*` stands for any characters, also none. */
const PATTERN = /^[A-Za-z0-9_*-]{1,64}$/;

/** @returns whether a name fits one of the patterns; `undefined` when one of them is none */
export function parseRoomPatterns(text: string): ((roomName: RoomName) => boolean) | undefined {
  const patterns = text.split(',').map((item) => item.trim());
  if (!patterns.every((pattern) => PATTERN.test(pattern))) return undefined;
  const pieces = patterns.map((pattern) => pattern.split('*'));
  return (roomName) => pieces.some((ofPattern) => fits(roomName, ofPattern));
}

/** Without a regular expression, in which many stars would take exponential time. */
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
