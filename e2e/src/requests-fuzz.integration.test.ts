/** Sessions that send random, nearly valid requests and end in every way leave nothing behind. */
import { randomUUID } from 'node:crypto';
import { CLIENT_REQUESTS, PROTOCOL_VERSION, ROUTER_RTP_CAPABILITIES } from '@plenary/cluster/protocol';
import type { ClientReply, ClientRequestName } from '@plenary/cluster/protocol';
import { fc, fuzz, fuzzOptions } from '@plenary/cluster/testing/frame-fuzz';
import { TestSessionKey } from '@plenary/cluster/testing/session-key';
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { makeJoinToken } from '@plenary/loadtest/pages';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isNothing, leftOver } from './harness/left-over.ts';
import { until } from './harness/until.ts';
import { RawClient } from './hostile/raw-client.ts';
import { camera, microphone } from './hostile/stranger.ts';

const REQUESTS = 600;
const ROOM = 'fuzzed';
const READY_TIMEOUT_MS = 90_000;
/** The longest time that anything is kept, in milliseconds: peers of a dead edge and tenants' claims for a minute, sessions less. */
const FREED_WITHIN_MS = 120_000;
const REQUESTS_PER_LIFE = 10;
const LIVES_AT_ONCE = 5;

type FuzzedRequestName = Exclude<ClientRequestName, 'join' | 'resume'>;

interface Request {
  readonly name: FuzzedRequestName;
  /** Chooses among the existing ids, such as tracks. */
  readonly choice: number;
  /** Fields that replace those of a valid payload. */
  readonly odd: Readonly<Record<string, unknown>>;
  readonly isAwaited: boolean;
}

interface Life {
  readonly isSecondEdge: boolean;
  readonly frames: readonly Request[];
  readonly end: 'leaves' | 'closes' | 'resumes' | 'resumes and leaves' | 'closes before its answer';
}

let cluster: LocalCluster;
const ended: string[] = [];
/** How often each request had each outcome, because sessions whose every request fails would prove nothing. */
const outcomes = new Map<string, number>();
const note = (name: ClientRequestName, outcome: string): void => {
  const key = `${name} ${outcome}`;
  outcomes.set(key, (outcomes.get(key) ?? 0) + 1);
};

beforeAll(async () => {
  cluster = await startLocalCluster({
    edges: 2,
    mediaNodes: 2,
    workers: 1,
    web: false,
    guests: false,
    readyTimeoutMs: READY_TIMEOUT_MS,
    edge: () => ({
      env: {
        PLENARY_SOCKETS_PER_ADDRESS: '100000',
        PLENARY_CONNECTS_PER_ADDRESS: '100000',
        PLENARY_RESUME_WITHIN_MS: process.env['FUZZ_FRAMES'] === undefined ? '1000' : '15000',
      },
    }),
    onEvent: (event) => {
      if (event.type === 'exit') ended.push(`${event.id} ${event.how}`);
    },
  });
});
afterAll(async () => cluster.stop());

const edgeUrl = (index: number): string => {
  const edge = cluster.edges[index];
  if (edge === undefined) throw new Error(`There is no edge ${index}.`);
  return edge.publicUrl;
};

/** The ids that a live session has learned. */
interface Known {
  readonly joined: ClientReply<'join'>;
  readonly tracks: string[];
  readonly consumers: string[];
}

/** A valid payload, with ids that exist. */
function rightPayload({ name, choice }: Request, { joined, tracks, consumers }: Known): object {
  const { media, room } = joined;
  const others = room.tracks.map(({ trackId }) => trackId);
  const one = (of: readonly string[]): string => of[choice % Math.max(1, of.length)] ?? randomUUID();
  const transportId = choice % 2 === 0 ? media.receiveTransport.id : media.sendTransport?.id;
  switch (name) {
    case 'track.publish':
      return {
        requestId: randomUUID(),
        transportId: media.sendTransport?.id,
        ...(choice % 2 === 0 ? microphone() : camera()),
      };
    case 'media.open':
      return {
        rtpCapabilities: ROUTER_RTP_CAPABILITIES,
        publish: choice % 3 > 0,
        ...(choice % 2 === 0 ? { moveFrom: media.epoch } : {}),
      };
    case 'media.moved':
    case 'media.check':
      return { epoch: media.epoch + (choice % 2) };
    case 'transport.connect':
      return {
        transportId,
        dtlsParameters: { role: 'client', fingerprints: [{ algorithm: 'sha-256', value: FINGERPRINT }] },
      };
    case 'transport.restartIce':
      return { transportId };
    case 'track.pause':
      return { trackId: one(tracks), paused: choice % 2 === 0 };
    case 'track.end':
      return { trackId: one(tracks) };
    case 'subscribe':
      return { trackIds: [one(others)] };
    case 'unsubscribe':
      return { consumerIds: [one(consumers)] };
    case 'consumer.failed':
      return { consumerId: one(consumers), trackId: one(others) };
    case 'consumers.update':
      return { consumers: [{ consumerId: one(consumers), paused: choice % 2 === 0 }] };
    case 'chat.post':
      return { requestId: randomUUID(), text: 'hello' };
    case 'sync':
      return { afterEventId: room.lastEventId };
    case 'session.confirm':
      return { sessionToken: joined.session.sessionToken };
    case 'roster.page':
      return { cursor: 'x' };
    case 'hand.lower':
      return choice % 2 === 0 ? {} : { peerId: joined.session.peerId };
    case 'hand.raise':
    case 'edge.check':
    case 'leave':
      return {};
  }
}
const FINGERPRINT = Array.from({ length: 32 }, () => 'AB').join(':');

function learn(name: FuzzedRequestName, data: unknown, { tracks, consumers }: Known): void {
  if (name === 'track.publish') tracks.push(CLIENT_REQUESTS['track.publish'].reply.parse(data).trackId);
  if (name === 'subscribe')
    consumers.push(
      ...CLIENT_REQUESTS.subscribe.reply.parse(data).consumers.map(({ consumerId }) => consumerId),
    );
}

async function runLife({ isSecondEdge, frames, end }: Life): Promise<void> {
  const own = isSecondEdge ? 1 : 0;
  const client = await RawClient.open(edgeUrl(own));
  await client.enter();
  const key = await TestSessionKey.create();
  const join = client.request('join', {
    protocolVersion: PROTOCOL_VERSION,
    requestId: randomUUID(),
    roomId: ROOM,
    token: makeJoinToken(cluster, { subject: randomUUID(), roomId: ROOM }),
    sessionKey: key.jwk,
    media: { rtpCapabilities: ROUTER_RTP_CAPABILITIES, publish: true },
  });
  if (end === 'closes before its answer') {
    await client.close();
    await join;
    return;
  }
  const { outcome, data } = await join;
  note('join', outcome);
  if (outcome !== 'ok') {
    // A budget of the room or the address may be spent, which is not under test here.
    await client.close();
    return;
  }
  const joined = CLIENT_REQUESTS.join.reply.parse(data);
  const known: Known = {
    joined,
    tracks: [],
    consumers: joined.media.consumers.map(({ consumerId }) => consumerId),
  };
  const waiting: Promise<unknown>[] = [];
  for (const request of frames) {
    const { name, odd, isAwaited } = request;
    const asking = client.request(name, { ...rightPayload(request, known), ...odd }).then((answer) => {
      note(name, answer.outcome);
      if (answer.outcome === 'ok') learn(name, answer.data, known);
    });
    if (isAwaited) await asking;
    else waiting.push(asking);
  }
  if (end === 'leaves') await client.request('leave', {});
  if (end === 'resumes' || end === 'resumes and leaves') await resumeElsewhere(joined, key, 1 - own, end);
  await client.close();
  await Promise.all(waiting);
}

async function resumeElsewhere(
  { session, room }: ClientReply<'join'>,
  key: TestSessionKey,
  edge: number,
  end: 'resumes' | 'resumes and leaves',
): Promise<void> {
  const client = await RawClient.open(edgeUrl(edge));
  await client.enter();
  const { sessionToken } = session;
  const resuming = client.request('resume', {
    protocolVersion: PROTOCOL_VERSION,
    roomId: session.roomId,
    sessionToken,
    proof: await key.prove(client.id, sessionToken),
    lastEventId: room.lastEventId,
  });
  if (end === 'resumes and leaves') {
    note('resume', (await resuming).outcome);
    await client.request('leave', {});
  }
  await client.close();
}

const name = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom<FuzzedRequestName[]>('track.publish', 'media.open', 'subscribe') },
  {
    weight: 5,
    arbitrary: fc.constantFrom(
      ...Object.keys(CLIENT_REQUESTS).filter(
        (one): one is FuzzedRequestName => one !== 'join' && one !== 'resume' && one !== 'leave',
      ),
    ),
  },
);
const odd = fc.oneof(
  { weight: 6, arbitrary: fc.constant({}) },
  {
    weight: 1,
    arbitrary: fc.dictionary(
      fc.constantFrom('epoch', 'trackId', 'transportId', 'paused', 'kind', 'source', 'moveFrom', 'insteadOf'),
      fc.oneof(fc.constantFrom<unknown[]>(null, -1, 0, 1, 2 ** 53, '', 'x', true, [], {}), fc.json()),
      { maxKeys: 2 },
    ),
  },
);
const lives: fc.Arbitrary<readonly Life[]> = fc.array(
  fc.record({
    isSecondEdge: fc.boolean(),
    frames: fc.array(fc.record({ name, choice: fc.nat(11), odd, isAwaited: fc.boolean() }), {
      maxLength: REQUESTS_PER_LIFE,
    }),
    end: fc.constantFrom('leaves', 'closes', 'resumes', 'resumes and leaves', 'closes before its answer'),
  }),
  { minLength: 1, maxLength: LIVES_AT_ONCE },
);

describe('any requests at all', () => {
  it('[EN31] leave nothing behind, on no media node and in no store', { timeout: 1_200_000 }, async () => {
    // Each request costs calls of mediasoup, so only a tenth of the configured frames are sent.
    const { frames, seed } = fuzzOptions(REQUESTS * 10);
    await fuzz(lives, { frames: Math.ceil(frames / 10), seed }, async (chosen) => {
      await Promise.all(chosen.map(runLife));
      expect(ended).toEqual([]);
    });
    for (const done of ['join', 'resume', 'track.publish', 'media.open', 'subscribe'])
      expect(outcomes.get(`${done} ok`), done).toBeGreaterThan(0);
    await until('everything to be given back', () => leftOver(cluster), isNothing, FREED_WITHIN_MS);
    expect(ended).toEqual([]);
  });
});
