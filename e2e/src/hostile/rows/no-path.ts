/** Those who want it said of a media node that nobody reaches it. */
import { randomBytes, randomUUID } from 'node:crypto';
import { ROUTER_RTP_CAPABILITIES } from '@plenary/cluster/protocol';
import { readMetrics } from '../../harness/metrics.ts';
import { until } from '../../harness/until.ts';
import type { Attack } from '../attack.ts';
import type { HostileWorld } from '../hostile-world.ts';
import { PROXY_ADDRESS } from '../hostile-world.ts';
import { Stranger } from '../stranger.ts';

const ROOM = 'nowhere';
/** Of two networks, since one of them would decide nothing. */
const FROM = ['2001:db8:a::1', '2001:db8:b::1'];

/** A client's part of DTLS, whose certificate nobody has. */
function dtls(): object {
  const value = [...randomBytes(32)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
  return { fingerprints: [{ algorithm: 'sha-256', value }] };
}

/** Joins on the media node of the meeting, says what it needs to connect, and sends no packet. */
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
  name: 'people who never look for a path',
  world: 'plain',
  does: 'joins twice, from two networks, with DTLS parameters that fit, and sends no STUN to a media node that has people',
  gets: ['ready'],
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
