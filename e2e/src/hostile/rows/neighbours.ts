/** Attacks by other tenants, and by attackers who reached the store or other machines' ports. */
import { randomUUID } from 'node:crypto';
import { LOGGED_EVENT } from '@plenary/cluster/protocol';
import type { Attack } from '../attack.ts';
import { repeatUntil } from '../attack.ts';
import { MEETING_ROOM } from '../hostile-world.ts';
import type { HostileWorld } from '../hostile-world.ts';
import { Lure, secretsOf } from '../lure.ts';
import { rawHttp } from '../raw-http.ts';
import { joinPayload, Stranger } from '../stranger.ts';
import { withRedis } from '../with-redis.ts';
import { readMetric } from '../../harness/metrics.ts';
import { until } from '../../harness/until.ts';

/** A publication to a room as an edge would make it, except for the proof that an edge made it. */
function forgedPublication(socketRoom: string, event: unknown): string {
  const logged = LOGGED_EVENT.parse({ id: '1900000000000-0', previousId: '1900000000000-0', event });
  const opts = { rooms: [socketRoom], except: [], flags: {} };
  const packet = { type: 2, data: ['event', logged], nsp: '/' };
  return JSON.stringify({ uid: '0123456789abcdef', nsp: '/', type: 3, data: { packet, opts } });
}

/** How often at most an edge reads a key set again because of unknown keys, in milliseconds (SPEC TK25). */
const READ_ONCE_IN_MS = 30_000;

/** How many publications the target has dropped because no edge of this cluster made them. */
const droppedPublications = ({ target }: HostileWorld): Promise<number> =>
  readMetric(target.operatorUrl, 'plenary_edge_malformed_records_total', { kind: 'foreign_publication' });

export const NEIGHBOURS: readonly Attack[] = [
  {
    name: 'well-formed forged events',
    world: 'plain',
    description:
      'publishes to the meeting, through Redis, that everybody was removed and every track ended, as an edge would',
    allowedAnswers: ['dropped'],
    strike: (world, isOver) =>
      withRedis(world, async (redis) => {
        const channels = (await redis.pubsub('SHARDCHANNELS')).map(String);
        const channel = channels.find((name) => name.includes(`/${MEETING_ROOM}#`));
        const [tracksKey] = await redis.keys(`*/${MEETING_ROOM}}:tracks`);
        const [placements] = await redis.keys(`*/${MEETING_ROOM}}:placements`);
        if (channel === undefined || tracksKey === undefined || placements === undefined)
          throw new Error('The meeting was not found.');
        const socketRoom = channel.slice(channel.indexOf('#/#') + 3, -1);
        const [tracks, peers] = [await redis.hgetall(tracksKey), await redis.hkeys(placements)];
        const messages = [
          ...Object.entries(tracks).map(([trackId, record]) => {
            const [, , peerId] = record.split('|');
            return { type: 'track.ended', trackId, peerId, reason: 'unpublished' };
          }),
          ...peers.map((peerId) => ({ type: 'peer.left', peerId, reason: 'kicked' })),
        ].map((event) => forgedPublication(socketRoom, event));
        return repeatUntil(isOver, async () => {
          const before = await droppedPublications(world);
          for (const message of messages) await redis.spublish(channel, message);
          // The meeting's silence only proves something if the events arrived and were well-formed.
          await until(
            'the edge to drop every forged event',
            () => droppedPublications(world),
            (dropped) => dropped >= before + messages.length,
          );
          return 'dropped';
        });
      }),
  },
  {
    name: 'a room of the same name of another tenant',
    world: 'plain',
    description:
      'joins its own room with the meeting’s name, as a host, and names tracks and people of the meeting',
    allowedAnswers: ['alone', 'ok', 'track_not_found', 'joined_too_often'],
    strike: (world, isOver) =>
      repeatUntil(isOver, async () => {
        const rival = await Stranger.join(world, { token: world.rival.token(`rival-${randomUUID()}`) });
        const { room } = rival.joined;
        const answers = [room.peerCount === 1 && room.tracks.length === 0 ? 'alone' : 'sees the meeting'];
        const trackIds = await withRedis(world, async (redis) => {
          const [key = ''] = (await redis.keys(`*/${MEETING_ROOM}}:tracks`)).filter(
            (name) => !name.includes('rival/'),
          );
          return redis.hkeys(key);
        });
        const { outcome, data } = await rival.client.request('subscribe', { trackIds });
        answers.push(
          outcome,
          JSON.stringify(data).includes('consumerId') ? 'hears the meeting' : 'track_not_found',
        );
        answers.push(
          await rival.ask('chat.post', { requestId: randomUUID(), text: 'does anybody read this?' }),
        );
        await rival.leave();
        return answers;
      }),
  },
  {
    name: 'tokens that name unknown keys',
    world: 'plain',
    description: 'joins with another tenant’s tokens, each of which names another unknown key',
    allowedAnswers: ['token_invalid', 'keys_unavailable', 'flooding', 'rate_limited', 'closed'],
    strike: (world, isOver) =>
      repeatUntil(isOver, () =>
        world.onFreshConnection(async (client) => {
          const answers: string[] = [];
          for (let count = 0; count < 20; count += 1) {
            const token = world.rival.token('mallory', randomUUID());
            answers.push(await client.ask('join', await joinPayload(world, { token })));
          }
          return answers;
        }),
      ),
  },
  {
    name: 'tokens that name unknown keys of a set on another server',
    world: 'plain',
    description:
      'joins with tokens of an application that publishes its keys over HTTP, each of which names another unknown key, and counts the readings',
    allowedAnswers: ['token_invalid', 'keys_unavailable', 'flooding', 'rate_limited', 'closed'],
    strike: async (world, isOver) => {
      const keys = world.countedKeys;
      const [before, sinceMs] = [keys.readings, performance.now()];
      const answers = await repeatUntil(isOver, async () =>
        world.onFreshConnection(async (client) =>
          client.ask('join', await joinPayload(world, { token: keys.tokenOfUnknownKey() })),
        ),
      );
      const readings = keys.readings - before;
      const times = 1 + Math.floor((performance.now() - sinceMs) / READ_ONCE_IN_MS);
      const most = times * world.cluster.edges.length;
      return readings <= most ? answers : [...answers, `${readings} readings, at most ${most}`];
    },
  },
  {
    name: 'operators’ requests on the ports of clients and of control links',
    world: 'plain',
    description:
      'requests metrics, readiness and the admin API on ports that do not have them, with and without a challenge',
    allowedAnswers: ['http 400', 'http 404', 'http 405', 'closed'],
    strike: (world, isOver) =>
      repeatUntil(isOver, async () => {
        const answers: string[] = [];
        for (const url of [world.target.publicUrl, world.targetNode.controlUrl])
          for (const line of [
            'GET /metrics',
            'GET /ready',
            'POST /admin/challenge',
            'POST /admin/revoke',
            'DELETE /admin/drain',
            'GET //metrics',
            'GET /%6detrics',
          ])
            answers.push(
              await rawHttp(
                url,
                `${line} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`,
              ),
            );
        return answers;
      }),
  },
  {
    name: 'a media node that only the registry names',
    world: 'plain',
    description: 'writes a media node with its own address into Redis, and listens there for secrets',
    allowedAnswers: ['heard no secret'],
    strike: (world, isOver) =>
      withRedis(world, async (redis) => {
        const [registry] = (await redis.keys('*{registry}*media-nodes')).sort();
        const [record] = registry === undefined ? [] : await redis.hvals(registry);
        if (registry === undefined || record === undefined) throw new Error('The registry was not found.');
        const lure = new Lure();
        const url = await lure.listen();
        const [, , json = '{}'] = /^([^|]*\|[^|]*)\|(.*)$/s.exec(record) ?? [];
        const forged = JSON.stringify({
          ...(JSON.parse(json) as object),
          mediaNodeId: 'mallory',
          controlUrl: url,
          operatorUrl: url,
        });
        try {
          return await repeatUntil(isOver, async () => {
            await redis.hset(registry, 'mallory', `${Date.now() + 60_000}|${randomUUID()}|${forged}`);
            await until(
              'a process to call the node that does not exist',
              () => lure.received,
              (heard) => heard.includes('\r\n\r\n'),
            );
            return secretsOf(world).some((secret) => lure.received.includes(secret))
              ? 'heard a secret'
              : 'heard no secret';
          });
        } finally {
          await redis.hdel(registry, 'mallory');
          await lure.close();
        }
      }),
  },
];
