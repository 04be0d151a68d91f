/** Attackers with very many addresses, which the edge's trusted proxy reports. */
import { randomInt } from 'node:crypto';
import type { Answers, Attack } from '../attack.ts';
import { repeatUntil } from '../attack.ts';
import { HandshakeRefused, RawClient } from '../raw-client.ts';
import { rawHttp } from '../raw-http.ts';
import { PROXY_ADDRESS } from '../hostile-world.ts';
import { MEETING_ROOM } from '../meeting-room.ts';

const MOST_SOCKETS = 1_500;
/** How many sockets open at a time. */
const AT_ONCE = 50;
/** How many requests are pending at a time. */
const FLOWS = 20;
/** How many sites (/48) the networks belong to. */
const SITES = 8;

const hex = (number: number): string => number.toString(16);
const networkOf = (index: number): string =>
  `2001:db8:${hex(index % SITES)}:${hex(Math.floor(index / SITES))}::1`;

/** An address of either family, which was hardly used before. */
function freshAddress(): string {
  if (randomInt(2) === 0) return `100.${64 + randomInt(64)}.${randomInt(256)}.${randomInt(256)}`;
  return `2001:db8:${hex(randomInt(0x1_0000))}:${hex(randomInt(0x1_0000))}::${hex(randomInt(0x1_0000))}`;
}

/** @returns the socket, or the answer of a refused handshake */
async function open(edgeUrl: string, address: string): Promise<RawClient | string> {
  try {
    const headers = { 'x-forwarded-for': address };
    return await RawClient.open(edgeUrl, { localAddress: PROXY_ADDRESS, headers });
  } catch (error) {
    if (error instanceof HandshakeRefused) return error.message;
    throw error;
  }
}

/** Repeats a request, each time from another address. */
function requests(name: string, does: string, line: string, body: string): Attack {
  const headers = `Host: meet.example.org\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`;
  return {
    name,
    world: 'plain',
    description: does,
    allowedAnswers: ['http 200', 'http 403', 'http 429'],
    strike: async (world, isOver) => {
      const ask = (): Promise<string> => {
        const request = `${line} HTTP/1.1\r\n${headers}\r\nX-Forwarded-For: ${freshAddress()}\r\n\r\n${body}`;
        return rawHttp(world.target.publicUrl, request, PROXY_ADDRESS);
      };
      const answers = await Promise.all(Array.from({ length: FLOWS }, () => repeatUntil(isOver, ask)));
      return [...new Set(answers.flat())];
    },
  };
}

export const NETWORKS: readonly Attack[] = [
  {
    name: 'sockets from many networks of IPv6',
    world: 'plain',
    description: `opens ${MOST_SOCKETS} sockets, each from another /64, of ${SITES} sites (/48), and does not join`,
    allowedAnswers: ['ok', 'closed', 'refused 403', 'refused 429', 'refused 503'],
    strike: async (world, isOver): Promise<Answers> => {
      const held: RawClient[] = [];
      const answers = new Set<string>();
      for (let count = 0; !isOver() && count < MOST_SOCKETS; count += AT_ONCE) {
        const opening = Array.from({ length: AT_ONCE }, (_, index) =>
          open(world.target.publicUrl, networkOf(count + index)),
        );
        for (const one of await Promise.all(opening)) {
          answers.add(typeof one === 'string' ? one : 'ok');
          if (typeof one !== 'string') held.push(one);
        }
      }
      await Promise.all(held.map((client) => client.close()));
      return [...answers];
    },
  },
  requests(
    'guest tokens for many addresses',
    'requests a guest token again and again, each time from another address',
    'POST /api/guest-token',
    JSON.stringify({ roomId: MEETING_ROOM, displayName: 'Mallory' }),
  ),
  requests(
    'the list of edges for many addresses',
    'requests the list of edges again and again, each time from another address',
    'GET /api/edges',
    '',
  ),
];
