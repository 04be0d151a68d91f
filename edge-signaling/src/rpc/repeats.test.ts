/** What a client asks for that is so already does nothing, and costs nothing but the look at its frame. */
import { MemoryPlacementStore } from '@plenary/cluster';
import { CONSUMER_ID } from '@plenary/cluster/ids';
import { CLIENT_REQUESTS } from '@plenary/cluster/protocol';
import type { ClientRequest, ClientRequestName } from '@plenary/cluster/protocol';
import { peer, track } from '@plenary/cluster/testing/samples';
import { describe, expect, it } from 'vitest';
import { costOf } from '../limits/cost.ts';
import { LimitedLog } from '../limits/limited-log.ts';
import { EdgeBudgets } from '../limits/meter.ts';
import { ClientConnection } from '../entry/client-connection.ts';
import { EdgeParts, RecordingSocket, ROOM } from '../testing/edge-parts.ts';
import { handleSessionConfirm } from './handlers/entry.ts';
import { handleMediaMoved, handleTransportConnect } from './handlers/media.ts';
import type { Handler } from './handlers/services.ts';
import {
  handleConsumerFailed,
  handleConsumersUpdate,
  handleSubscribe,
  handleUnsubscribe,
} from './handlers/subscriptions.ts';
import { handleTrackEnd, handleTrackPause, handleTrackPublish } from './handlers/tracks.ts';

const REPEATS = 50;
/** Why a request that says the same again is answered anew. */
const ANSWERED_ANEW: Partial<Record<ClientRequestName, string>> = {
  join: 'comes once on a connection',
  resume: 'comes once on a connection',
  leave: 'ends the session',
  'edge.check': 'has no cost beside its frame',
  'media.open': 'opens media anew each time',
  'media.check': 'asks how things stand now',
  'transport.restartIce': 'gives new credentials each time',
  'chat.post': 'is looked up in the store by its id, and told to nobody',
  'hand.raise': 'is looked at in the store, and told to nobody',
  'hand.lower': 'is looked at in the store, and told to nobody',
  'roster.page': 'asks how things stand now',
  sync: 'asks how things stand now',
};

class CountingPlacements extends MemoryPlacementStore {
  completed = 0;

  override async completeMove(
    ...parameters: Parameters<MemoryPlacementStore['completeMove']>
  ): Promise<void> {
    this.completed += 1;
    await super.completeMove(...parameters);
  }
}

async function somebody() {
  const parts = new EdgeParts((rooms) => ({ placements: new CountingPlacements(rooms) }));
  const { placements } = parts;
  const { links, localRooms, channel, metrics, reportFault, clock } = parts;
  const link = links.add('node');
  // As a media node answers what is so already.
  link.answer = (name) => {
    if (name === 'track.publish') return { trackId: 'mine', events: [], calls: 0 };
    if (name === 'track.end' || name === 'track.pause') return { events: [], calls: 0 };
    return name === 'subscribe' ? { consumers: [], failed: [], calls: 0 } : { calls: 0 };
  };
  const socket = new RecordingSocket();
  const session = parts.hold(await parts.place('ann', 'node'), socket);
  const log = new LimitedLog({ metrics, logger: { warn: () => undefined }, clock });
  const budgets = new EdgeBudgets({ clock, socketsPerAddress: 2_000, log });
  const connection = new ClientConnection(socket, { onSocketClosed: () => undefined }, budgets, localRooms);
  connection.apply({ type: 'entry_started', entry: { requestId: undefined, reply: undefined } });
  connection.apply({ type: 'entered', session });
  connection.payFrom(session, {});
  localRooms.tracksOf(ROOM).learn([
    {
      trackId: track('hers'),
      peerId: peer('bob'),
      kind: 'video',
      source: 'camera',
      homeNodeId: link.mediaNodeId,
    },
  ]);
  const services = {
    placements,
    roomLog: parts.roomLog,
    links,
    clock,
    localRooms,
    channel,
    metrics,
    reportFault,
    drops: parts.drops,
  };
  return { services, connection, session, placements };
}

const consumerId = CONSUMER_ID.parse('gone');

type Somebody = Awaited<ReturnType<typeof somebody>>;
interface Row {
  readonly name: ClientRequestName;
  /** Asks once more for what is so. */
  readonly repeat: (of: Somebody) => () => Promise<unknown>;
}

/** Charges as the dispatch table does, then carries out. */
function row<Name extends ClientRequestName>(
  name: Name,
  handlerOf: (of: Somebody) => Handler<Name>,
  payloadOf: (of: Somebody) => ClientRequest<Name>,
): Row {
  return {
    name,
    repeat: (of) => {
      const handler = handlerOf(of);
      return async () => {
        const payload = payloadOf(of);
        expect(of.connection.charge(costOf(name, payload, of.connection.people))).toBe('allowed');
        return handler(payload, of.connection);
      };
    },
  };
}

const ROWS: readonly Row[] = [
  row(
    'session.confirm',
    () => handleSessionConfirm({ entrance: { confirm: () => Promise.resolve(false) } }),
    () => ({ sessionToken: 'known.to.her' }),
  ),
  row(
    'media.moved',
    ({ services }) => handleMediaMoved(services),
    ({ session }) => ({ epoch: session.media.epoch }),
  ),
  row(
    'transport.connect',
    ({ services }) => handleTransportConnect(services),
    () =>
      CLIENT_REQUESTS['transport.connect'].payload.parse({
        transportId: 'send',
        dtlsParameters: {
          role: 'client',
          fingerprints: [{ algorithm: 'sha-256', value: Array.from({ length: 32 }, () => 'AB').join(':') }],
        },
      }),
  ),
  row(
    'track.publish',
    ({ services }) => handleTrackPublish(services),
    () =>
      CLIENT_REQUESTS['track.publish'].payload.parse({
        requestId: 'mic',
        transportId: 'send',
        kind: 'audio',
        source: 'microphone',
        rtpParameters: {
          codecs: [{ mimeType: 'audio/opus', payloadType: 100, clockRate: 48_000, channels: 2 }],
          encodings: [{ ssrc: 1 }],
        },
        paused: false,
      }),
  ),
  row(
    'track.pause',
    ({ services }) => handleTrackPause(services),
    () => ({ trackId: track('mine'), paused: true }),
  ),
  row(
    'track.end',
    ({ services }) => handleTrackEnd(services),
    () => ({ trackId: track('nobodys') }),
  ),
  row(
    'unsubscribe',
    ({ services }) => handleUnsubscribe(services),
    () => ({ consumerIds: [consumerId] }),
  ),
  row(
    'consumer.failed',
    ({ services }) => handleConsumerFailed(services),
    () => ({ consumerId, trackId: track('hers') }),
  ),
  row(
    'consumers.update',
    ({ services }) => handleConsumersUpdate(services),
    () => ({ consumers: [{ consumerId, paused: true, priority: 3 }] }),
  ),
  row(
    'subscribe',
    ({ services }) => handleSubscribe(services),
    () => ({ trackIds: [track('hers')] }),
  ),
];

describe('what is so already', () => {
  it('[BU33] is looked at for every request of the protocol', () => {
    const named = [...ROWS.map(({ name }) => name), ...Object.keys(ANSWERED_ANEW)];
    expect(named.toSorted()).toEqual(Object.keys(CLIENT_REQUESTS).toSorted());
  });

  it.each(ROWS)('[BU33] costs neither calls nor the store nor telling anybody: $name', async ({ repeat }) => {
    const ann = await somebody();
    const again = repeat(ann);
    // The first repeat may complete a change; later repeats find it completed.
    await again();
    const before = ann.session.budget?.resources.levels;
    const completed = ann.placements.completed;
    for (let count = 0; count < REPEATS; count += 1) await again();
    const after = ann.session.budget?.resources.levels;
    expect(before).toBeDefined();
    expect(after).toMatchObject({
      mediasoup: before?.mediasoup,
      store: before?.store,
      deliveries: before?.deliveries,
    });
    expect(ann.placements.completed).toBe(completed);
  });
});
