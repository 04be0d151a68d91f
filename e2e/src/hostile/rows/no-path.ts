/** Attackers who try to make a media node count as unreachable. */
import { randomBytes, randomUUID } from 'node:crypto';
import { ROUTER_RTP_CAPABILITIES } from '@plenary/cluster/protocol';
import { readMetrics } from '../../harness/metrics.ts';
import { until } from '../../harness/until.ts';
import type { Attack } from '../attack.ts';
import type { HostileWorld } from '../hostile-world.ts';
import { PROXY_ADDRESS } from '../hostile-world.ts';
import { Stranger } from '../stranger.ts';

const ROOM = 'nowhere';
/** Addresses of two networks, because one network alone decides nothing. */
const FROM = ['2001:db8:a::1', '2001:db8:b::1'];

/** A client's DTLS parameters with a random fingerprint. */
function dtls(): object {
  const value = [...randomBytes(32)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
  return { fingerprints: [{ algorithm: 'sha-256', value }] };
}

/** Joins on the meeting's media node with valid parameters, and sends no packet. */
async function joinWithoutPath(world: HostileWorld, address: string): Promise<Stranger> {
  const media = {
    rtpCapabilities: ROUTER_RTP_CAPABILITIES,
    publish: true,
    dtls: { send: dtls(), receive: dtls() },
  };
  return Stranger.join(world, {
    roomId: ROOM,
    token: world.token({ roomId: ROOM, subject: `mallory-${randomUUID()}`, datacenter: 'gra' }),
    localAddress: PROXY_ADDRESS,
    headers: { 'x-forwarded-for': address },
    join: { media },
  });
}

export const NO_PATH: Attack = {
  name: 'people who never send STUN',
  world: 'plain',
  description:
    'joins twice, from two networks, with valid DTLS parameters, and sends no STUN to a media node that has people',
  allowedAnswers: ['ready'],
  strike: async (world, isOver) => {
    const { operatorUrl } = world.targetNode;
    const misses = async (): Promise<number> =>
      (await readMetrics(operatorUrl)).get('plenary_media_unreached_peers_total') ?? 0;
    const before = await misses();
    const strangers = await Promise.all(FROM.map((address) => joinWithoutPath(world, address)));
    const answers = new Set<string>();
    await until(
      'the node to have missed both',
      async () => {
        const { status } = await fetch(new URL('/ready', operatorUrl));
        answers.add(status === 200 ? 'ready' : `not ready: ${status}`);
        return (await misses()) - before;
      },
      (missed) => missed >= FROM.length && isOver(),
    );
    const { status } = await fetch(new URL('/ready', operatorUrl));
    answers.add(status === 200 ? 'ready' : `not ready: ${status}`);
    for (const stranger of strangers) await stranger.leave();
    return [...answers];
  },
};
