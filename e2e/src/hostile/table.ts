/** The attackers' table: one row for each attack, accident or odd network that a meeting does not notice. */
import type { Attack } from './attack.ts';
import { BACK_AND_FORTH } from './rows/back-and-forth.ts';
import { CROWDED_ROOM } from './rows/crowded-room.ts';
import { DUTY_CYCLE } from './rows/duty-cycle.ts';
import { EDGES_OF_MEDIA } from './rows/edges-of-media.ts';
import { FLEETING_TRACKS } from './rows/fleeting-tracks.ts';
import { FILLING } from './rows/filling.ts';
import { FLIPPED_BIT } from './rows/flipped-bit.ts';
import { FLOODS } from './rows/floods.ts';
import { FOREIGN_OPERATORS } from './rows/foreign-operators.ts';
import { FOREIGN_PIPES } from './rows/foreign-pipes.ts';
import { FORGED_NODES } from './rows/forged-nodes.ts';
import { FRAMES } from './rows/frames.ts';
import { HALF_ALIVE } from './rows/half-alive.ts';
import { HTTP } from './rows/http.ts';
import { HUGE_PICTURES } from './rows/huge-pictures.ts';
import { INSIDE } from './rows/inside.ts';
import { JOINS } from './rows/joins.ts';
import { LURED_OPERATORS } from './rows/lured-operators.ts';
import { MANY_REVOCATIONS } from './rows/many-revocations.ts';
import { MEDIA } from './rows/media.ts';
import { TOO_MUCH_MEDIA } from './rows/too-much-media.ts';
import { RETURNING } from './rows/returning.ts';
import { NEIGHBOURS } from './rows/neighbours.ts';
import { NETWORKS } from './rows/networks.ts';
import { NO_CHANGES } from './rows/no-changes.ts';
import { NO_PATH } from './rows/no-path.ts';
import { PULSES_OF_MANY } from './rows/pulses.ts';
import { ODD_PACKETS } from './rows/odd-packets.ts';
import { OTHER_SECRET } from './rows/other-secret.ts';
import { RECORDED_LINK } from './rows/recorded-link.ts';
import { RECORDED } from './rows/recorded.ts';
import { RESENDS } from './rows/resends.ts';
import { REPLAYS } from './rows/replays.ts';
import { SILENT_ADDRESSES } from './rows/silent-addresses.ts';
import { SITE_BESIDE_SCHOOL } from './rows/site-beside-school.ts';
import { TIRED_NODES } from './rows/tired-nodes.ts';
import { UNCOUNTED_MEDIA } from './rows/uncounted-media.ts';
import { WEB_FLOODS } from './rows/web-floods.ts';

export const ATTACKS: readonly Attack[] = [
  ...FRAMES,
  ...HTTP,
  ...JOINS,
  ...FLOODS,
  NO_CHANGES,
  FLEETING_TRACKS,
  WEB_FLOODS,
  CROWDED_ROOM,
  FILLING,
  ...RETURNING,
  ...MEDIA,
  ...EDGES_OF_MEDIA,
  ...TOO_MUCH_MEDIA,
  ...UNCOUNTED_MEDIA,
  RESENDS,
  ODD_PACKETS,
  HUGE_PICTURES,
  ...INSIDE,
  FORGED_NODES,
  ...HALF_ALIVE,
  ...TIRED_NODES,
  ...NEIGHBOURS,
  ...NETWORKS,
  NO_PATH,
  RECORDED,
  REPLAYS,
  DUTY_CYCLE,
  BACK_AND_FORTH,
  PULSES_OF_MANY,
  SILENT_ADDRESSES,
  SITE_BESIDE_SCHOOL,
  RECORDED_LINK,
  FLIPPED_BIT,
  OTHER_SECRET,
  ...FOREIGN_PIPES,
  FOREIGN_OPERATORS,
  LURED_OPERATORS,
  MANY_REVOCATIONS,
];

/** One or two rows of each kind, which `npm test` also runs. */
export const QUICK: ReadonlySet<string> = new Set([
  'frames nested thousands deep',
  'random frames',
  'headers of other shapes',
  'forged join tokens',
  'a stolen session token',
  'mutes and unmutes without end',
  'changes of consumers without end',
  'line ends for every browser’s SDP',
  'media with a wrong kind or source',
  'packets whose header extensions are empty',
  'tracks published and ended without end',
  'garbage on every channel of the store',
  'control links of strangers',
  'garbage on every media port',
  'a store that becomes another one’s replica',
  'lost answers of the store',
  'well-formed forged events',
  'a room of the same name of another tenant',
]);
