import { ROOM_NAME, type RoomName } from '@plenary/cluster/protocol';

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

/** Makes a room id of what a person typed: `Team Weekly!` becomes `team-weekly`. Undefined when nothing is left. */
export function roomIdFrom(typed: string): RoomName | undefined {
  const slug = typed
    .normalize('NFKD')
    .replace(/\p{Mark}/gu, '')
    .trim()
    .replace(/[^A-Za-z0-9_-]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 64)
    .toLowerCase();
  const parsed = ROOM_NAME.safeParse(slug);
  return parsed.success ? parsed.data : undefined;
}
