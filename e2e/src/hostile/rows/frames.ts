import { seededRandom } from '@plenary/cluster/testing/seeded-random';
import type { RandomSource } from '@plenary/cluster/testing/seeded-random';
import type { Attack } from '../attack.ts';
import { repeatUntil, repeatEachUntil } from '../attack.ts';

/** The possible answers to a meaningless frame: it is ignored, refused, or ends its own connection. */
const REFUSED = [
  'malformed_message',
  'message_too_large',
  'unknown_message',
  'out_of_order',
  'rate_limited',
  'closed',
  'ignored',
];

/** Sends each frame on a connection of its own that has not joined. */
function frames(name: string, does: string, all: readonly (string | Buffer)[], gets = REFUSED): Attack {
  return {
    name,
    world: 'plain',
    description: does,
    allowedAnswers: gets,
    strike: (world, isOver) =>
      repeatEachUntil(
        isOver,
        () => all,
        (frame) => world.onFreshConnection((client) => client.outcomeOf(frame)),
      ),
  };
}

const nested = (depth: number, open = '[', close = ']'): string => open.repeat(depth) + close.repeat(depth);
/** The most that an edge reads of one packet, in bytes. */
const PACKET_BYTES = 65_536;

export const FRAMES: readonly Attack[] = [
  frames(
    'frames nested thousands deep',
    'sends `edge.check` with 6,000 nested arrays or 8,000 nested objects',
    [
      `420["edge.check",${nested(6_000)}]`,
      `42["edge.check",${nested(6_000)}]`,
      `421["join",${nested(8_000, '{"a":', '}').replace(':}', ':1}')}]`,
      `42${nested(30_000)}`,
      `40${nested(6_000)}`,
      `43${nested(6_000)}`,
      `45${nested(6_000)}`,
    ],
  ),
  frames(
    'frames as large as a packet may be, and larger',
    'fills packets with one string, many numbers, many keys',
    [
      `420["edge.check","${'x'.repeat(PACKET_BYTES - 30)}"]`,
      `420["edge.check",[${'0,'.repeat(30_000)}0]]`,
      `420["edge.check",{${Array.from({ length: 5_000 }, (_, index) => `"${index}":1`).join()}}]`,
      `420["edge.check","${'x'.repeat(PACKET_BYTES)}"]`,
      `420[${'"edge.check",'.repeat(4_000)}0]`,
    ],
  ),
  frames('events with attachments that never come', 'announces up to 100,000 binary attachments', [
    '45100000-["edge.check",{"_placeholder":true,"num":0}]',
    '451-["edge.check",{"_placeholder":true,"num":0}]',
    '451-0["edge.check",{"_placeholder":true,"num":-1}]',
    '4699999999999999999999-["x"]',
    '45-["x"]',
    '46["x"]',
  ]),
  frames(
    'acknowledgement ids beyond every number',
    'asks for an answer under numbers of 20 digits and more',
    [
      `42${'9'.repeat(20)}["edge.check",{}]`,
      `42${'9'.repeat(400)}["edge.check",{}]`,
      `43${'9'.repeat(20)}[{}]`,
      '42-1["edge.check",{}]',
      '421e9["edge.check",{}]',
    ],
  ),
  frames('unknown namespaces', 'opens, leaves and floods other namespaces, and the own one again', [
    '40/admin,',
    '40/admin,{"token":"x"}',
    '42/admin,0["edge.check",{}]',
    `40/${'n'.repeat(10_000)},`,
    '40/__proto__,',
    '40{"token":',
    '40',
    '41/admin,',
    '41',
  ]),
  frames('reserved and inherited event names', 'sends events under reserved and inherited names', [
    '420["connect",{}]',
    '42["disconnect","x"]',
    '42["disconnecting"]',
    '42["error",{}]',
    '42["newListener"]',
    '420["__proto__",{}]',
    '420["constructor",{}]',
    '420["toString",{}]',
    '420[null,{}]',
    '420[0]',
    '42[]',
    '42{}',
    '42null',
    '44{"message":"x"}',
  ]),
  frames(
    'frames that are not packets',
    'sends Engine.IO’s own packet types, binary frames, and broken text',
    [
      '',
      '0{}',
      '1',
      '5',
      '6',
      '9',
      '4',
      '4x',
      'b4AAAA',
      '42["edge.check",{"a":1]',
      '42["edge.check","\\ud800"]',
      '420["edge.check",{"__proto__":{"polluted":true}}]',
      '420["edge.check",1e999]',
      Buffer.from([0, 1, 2, 255]),
      Buffer.alloc(0),
    ],
  ),
  frames('invalid ids', 'names events, cursors and sessions with ids that no edge ever gave', [
    `420["sync",{"afterEventId":"${'9'.repeat(40)}-0"}]`,
    `420["roster.page",{"cursor":"\\u0000*"}]`,
    `420["resume",{"protocolVersion":1,"roomId":"x","sessionToken":"x","proof":"x","lastEventId":"${'9'.repeat(25)}-1"}]`,
    `420["roster.page",{"cursor":"1700000000000-bob"}]`,
    `42["track.end",{"trackId":"../../x"}]`,
  ]),
  {
    name: 'random frames',
    world: 'plain',
    description: 'sends seeded garbage, from single bytes to mutated requests, as fast as it may',
    allowedAnswers: [...REFUSED, 'flooding', 'ok', 'protocol_version'],
    strike: async (world, isOver) => {
      const random = seededRandom(11);
      return repeatUntil(isOver, () =>
        world.onFreshConnection(async (client) => {
          for (let count = 0; count < 60 && !client.isClosed; count += 1) client.send(garbage(random));
          return client.outcomeOf('42["no.such"]');
        }),
      );
    },
  },
];

const SEEDS = [
  '420["edge.check",{}]',
  '421["join",{"protocolVersion":1,"requestId":"a","roomId":"weekly","token":"x"}]',
  '40{"a":1}',
  '451-["x",{"_placeholder":true,"num":0}]',
  '43[{}]',
];

/** A well-formed frame in which a few characters were changed, repeated or dropped. */
function garbage(random: RandomSource): string {
  let frame = SEEDS[Math.floor(random() * SEEDS.length)] ?? '';
  const changes = 1 + Math.floor(random() * 6);
  for (let count = 0; count < changes; count += 1) {
    const at = Math.floor(random() * frame.length);
    const byte = String.fromCharCode(Math.floor(random() * 256));
    const kept = random();
    frame =
      frame.slice(0, at) + (kept < 0.4 ? byte : kept < 0.7 ? frame.slice(0, at) : '') + frame.slice(at + 1);
  }
  return frame.slice(0, 2_000);
}
