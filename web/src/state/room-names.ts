import { ROOM_NAME, type RoomName } from '@plenary/cluster/protocol';
import { parseRoute, roomPath } from './route.ts';

const MOODS = [
  'amber',
  'brave',
  'calm',
  'clear',
  'gentle',
  'golden',
  'keen',
  'lucid',
  'merry',
  'quiet',
  'silver',
  'sunny',
  'swift',
  'warm',
];
const THINGS = [
  'brook',
  'cedar',
  'comet',
  'dune',
  'falcon',
  'fjord',
  'garden',
  'harbor',
  'island',
  'lantern',
  'meadow',
  'orchard',
  'river',
  'summit',
];

/** A room name that is easy to say, with a number that nobody guesses by chance. */
export function randomRoomName(random: () => number = Math.random): string {
  const pick = (words: readonly string[]): string => words[Math.floor(random() * words.length)] ?? 'open';
  return `${pick(MOODS)}-${pick(THINGS)}-${Math.floor(1_000 + random() * 9_000)}`;
}

/** Longest name of a room, in characters. */
export const LONGEST_NAME = 64;

/** Why a typed text is no room name. */
export type RoomNameProblem =
  | { readonly type: 'empty' }
  | { readonly type: 'too-long'; readonly most: number }
  /** These letters are not allowed in a name. Dropping them could lead to somebody else's room. */
  | { readonly type: 'letters'; readonly letters: string }
  | { readonly type: 'other-site'; readonly host: string }
  | { readonly type: 'no-meeting' };

export type TypedRoom =
  | {
      readonly type: 'room';
      readonly roomId: RoomName;
      /** The path of its page. A pasted link keeps its token. */
      readonly path: string;
    }
  | RoomNameProblem;

/** Letters that NFKD does not decompose, with their usual spelling in a–z. */
const WRITTEN_AS: Readonly<Record<string, string>> = {
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  ø: 'o',
  đ: 'd',
  ð: 'd',
  þ: 'th',
  ł: 'l',
  ı: 'i',
};

/** Invisible characters, which messengers put around copied text. */
const INVISIBLE = /\p{Format}/gu;
const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i;
/** A scheme with missing or wrong slashes, which browsers accept too. */
const SLOPPY_SCHEME = /\b(https?):[/\\]*(?=[^\s/\\]+[/\\])/gi;
/** A host before a path: with a domain, an IP address, or a port. */
const HOST =
  /^(?:\[[0-9a-f:.]+\]|(?:\d{1,3}\.){3}\d{1,3}|(?:[^\s/.:]+\.)+\p{Letter}[\p{Letter}\p{Number}-]+|[a-z][a-z0-9-]*(?=:))(?::\d{2,5})?\//iu;

/**
 * Reads a typed or pasted text: `Team Weekly!` means the room `team-weekly`; a link of this site, also within an invitation text, means
 * its room.
 */
export function readTypedRoom(typed: string, here: URL): TypedRoom {
  const text = decoded(typed.replace(INVISIBLE, '')).trim().replace(SLOPPY_SCHEME, '$1://');
  const link = linkIn(text, here);
  return (link === undefined ? undefined : readLink(link, here)) ?? readName(text);
}

/** Decodes a link that was URL-encoded as part of another link. */
function decoded(text: string): string {
  if (!/^\s*[a-z][a-z0-9+.-]*%3A%2F%2F/i.test(text)) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    // A stray % is no encoding: the text stays as it is.
    return text;
  }
}

/** Finds the link in a text; `undefined` without one. */
function linkIn(text: string, here: URL): string | undefined {
  const withScheme = /[a-z][a-z0-9+.-]*:\/\/[^\s<>"'|]+/i.exec(text)?.[0];
  if (withScheme !== undefined) return withoutEnd(withScheme);
  const words = text.split(/[\s<>"'|()]+/);
  // A typed link, or one that an address bar copied without its scheme.
  const address = words.find((word) => word.toLowerCase().startsWith(`${here.host}/`)) ?? text;
  const isAddress =
    /^\/\/[^\s/]+/.test(address) || /^(?:[^\s/]*\/)?r\/[^\s/]+\/?$/.test(address) || HOST.test(address);
  return isAddress ? withoutEnd(address) : undefined;
}

/** Punctuation at the end belongs to the sentence. */
function withoutEnd(link: string): string {
  return link.replace(/[.,;:!?)\]}]+$/, '');
}

function readName(text: string): TypedRoom {
  const spelled = withoutEncoding(text);
  if (spelled === undefined) return { type: 'letters', letters: '%' };
  const plain = spelled
    .normalize('NFKD')
    .replace(/\p{Mark}/gu, '')
    .toLowerCase()
    .replace(/[ßæœøđðþłı]/g, (letter) => WRITTEN_AS[letter] ?? letter);
  const letters = [...new Set(plain.match(/[^a-z0-9_\-]/gu) ?? [])].filter((letter) =>
    /[\p{Letter}\p{Number}\p{Symbol}]/u.test(letter),
  );
  if (letters.length > 0) return { type: 'letters', letters: letters.slice(0, 5).join(' ') };
  const slug = plain.replace(/[^a-z0-9_-]+/g, '-').replace(/^-+|-+$/g, '');
  if (slug.length > LONGEST_NAME) return { type: 'too-long', most: LONGEST_NAME };
  const parsed = ROOM_NAME.safeParse(slug);
  return parsed.success
    ? { type: 'room', roomId: parsed.data, path: roomPath(parsed.data) }
    : { type: 'empty' };
}

/** Decodes a name that was copied out of a link; `undefined` when its encoding is invalid. */
function withoutEncoding(text: string): string | undefined {
  if (!/%[0-9a-f]{2}/i.test(text)) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** Reads a link; `undefined` when the text is no link. */
function readLink(text: string, here: URL): TypedRoom | undefined {
  const spelled = withSchemeAndHost(text, here);
  if (!URL.canParse(spelled)) return undefined;
  const link = new URL(spelled);
  if (link.host !== here.host) return { type: 'other-site', host: link.host };
  const route = parseRoute(link);
  if (route.page === 'bad-room') return readName(route.name);
  if (route.page !== 'room') return { type: 'no-meeting' };
  return { type: 'room', roomId: route.roomId, path: roomPath(route.roomId) + link.search + link.hash };
}

function withSchemeAndHost(text: string, here: URL): string {
  if (SCHEME.test(text)) return text;
  if (text.startsWith('//')) return here.protocol + text;
  if (/^\/?r\//.test(text)) return `${here.origin}/${text.replace(/^\//, '')}`;
  return `${here.protocol}//${text}`;
}
