import {
  CONTROL_TIMEOUT_MS,
  MemoryRegistry,
  MemoryRoomLog,
  MemoryRoomStores,
  PlenaryError,
  ROUTER_ID,
  TRANSPORT_ID,
  mintIncarnation,
} from '@plenary/cluster';
import type { RequestId } from '@plenary/cluster';
import { edge, mediaNode, peer, request, room } from '@plenary/cluster/testing/samples';
import { describe, expect, it } from 'vitest';
import type { ClientTransport, MediaProducer, RoomRouter } from '../engine/engine.ts';
import { ManualTimers } from '../testing/manual-timers.ts';
import { mediaRequest, TEST_DTLS, vp8Parameters } from '../testing/rtp.ts';
import { Peer } from './peer.ts';
import type { PeerLink } from './peer-link.ts';

const ROOM = room('standup');
const NODE = mediaNode('node');
const unexpected = (): never => {
  throw new Error('Nobody asks for this.');
};

/** A store that writes a track only when the test lets it. */
class SlowLog extends MemoryRoomLog {
  written = Promise.resolve();

  override async publishTrack(
    ...written: Parameters<MemoryRoomLog['publishTrack']>
  ): ReturnType<MemoryRoomLog['publishTrack']> {
    await this.written;
    return super.publishTrack(...written);
  }
}

const producer: MediaProducer = {
  id: 'camera-track',
  kind: 'video',
  closed: false,
  paused: false,
  setPaused: unexpected,
  close: () => undefined,
};

let transports = 0;
function transportOf(): ClientTransport {
  transports += 1;
  const id = TRANSPORT_ID.parse(`transport-${transports}`);
  return {
    id,
    closed: false,
    isConnecting: false,
    offer: () => ({
      id,
      iceParameters: { usernameFragment: 'user', password: 'aPasswordOf22Characters' },
      iceCandidates: [],
      dtlsParameters: TEST_DTLS,
    }),
    connect: () => Promise.resolve(),
    traffic: () => Promise.resolve({ sentBytes: 7, receivedBytes: 7 }),
    receivedBytes: () => Promise.resolve(0),
    receiverBytes: () => Promise.resolve({ sent: 0, retransmitted: 0 }),
    restartIce: unexpected,
    produce: () => Promise.resolve(producer),
    consume: unexpected,
    close: () => undefined,
  };
}

const router: RoomRouter = {
  id: ROUTER_ID.parse('router'),
  workerIndex: 0,
  closed: false,
  close: () => undefined,
  createClientTransport: () => Promise.resolve(transportOf()),
  createPipeTransport: unexpected,
  observeSpeaker: () => Promise.resolve(),
};

const linkOf = (name: string): PeerLink => ({
  caller: { kind: 'edge', id: edge(name), incarnation: mintIncarnation() },
  notify: () => undefined,
});

/** An admitted peer that publishes a camera on request. */
async function admitted() {
  const stores = new MemoryRoomStores();
  const roomLog = new SlowLog(stores.rooms);
  const timers = new ManualTimers();
  const budget = { isSpent: false };
  const { epoch } = await stores.placements.placePeer({
    roomId: ROOM,
    peerId: peer('ann'),
    requestId: request('join'),
    edgeId: edge('edge'),
    mediaNodeId: NODE,
    maxPeers: 10,
  });
  const placed = { roomId: ROOM, peerId: peer('ann'), epoch };
  const ann = new Peer(
    {
      placed,
      workerIndex: 0,
      requester: { ...placed, person: undefined },
      getsRetransmissions: true,
      spend: () => {
        if (budget.isSpent) throw new PlenaryError('rate_limited');
      },
      acquireRouter: () => Promise.resolve({ router, release: () => undefined }),
      reach: unexpected,
      publications: {
        homeNodeId: NODE,
        store: {
          registry: new MemoryRegistry(),
          ...stores,
          roomLog,
          isAvailable: () => true,
          onAvailability: () => () => undefined,
        },
        onTrack: () => undefined,
        onTrackGone: () => undefined,
        onDemand: () => undefined,
        timers,
        onVolumes: unexpected,
        endRecords: unexpected,
        republishLater: unexpected,
        onFault: unexpected,
      },
      timers,
      path: { found: () => undefined, left: () => undefined, missed: () => undefined },
      deliver: unexpected,
      onFault: unexpected,
      onClosed: () => undefined,
    },
    linkOf('edge'),
  );
  const { sendTransport } = await ann.admit({ ...placed, media: mediaRequest(), tracks: [] });
  if (sendTransport === undefined) throw new Error('It has nothing to publish by.');
  const rtpParameters = vp8Parameters();
  const publish = async (requestId: RequestId = request('camera')): Promise<number> => {
    const { events } = await ann.publish({
      ...placed,
      requestId,
      transportId: TRANSPORT_ID.parse(sendTransport.id),
      kind: 'video',
      source: 'camera',
      rtpParameters,
      paused: false,
    });
    return events.length;
  };
  return { ann, roomLog, timers, budget, publish };
}

describe('Peer', () => {
  it('[EP11] sends the room one event for a publication that was answered in time', async () => {
    const { publish } = await admitted();
    expect(await publish()).toBe(1);
    expect(await publish()).toBe(0);
  });

  it('[EP11] sends the event with the repeat of a publication that was answered after the edge’s deadline', async () => {
    const { publish, roomLog, timers } = await admitted();
    const writing = Promise.withResolvers<undefined>();
    roomLog.written = writing.promise.then(() => undefined);
    const late = publish();
    timers.advance(CONTROL_TIMEOUT_MS);
    writing.resolve(undefined);
    await late;
    expect(await publish()).toBe(1);
    expect(await publish()).toBe(0);
  });

  it('[EP11] sends the event with the repeat over a link that resumed the peer before the answer', async () => {
    const { ann, publish, roomLog } = await admitted();
    const writing = Promise.withResolvers<undefined>();
    roomLog.written = writing.promise.then(() => undefined);
    const before = publish();
    ann.attach(linkOf('other'));
    writing.resolve(undefined);
    await before;
    expect(await publish()).toBe(1);
  });

  it('[BU46] answers that it is alive, without traffic, while its budget is spent', async () => {
    const { ann, budget, timers } = await admitted();
    budget.isSpent = true;
    expect(await ann.traffic()).toEqual({});
    budget.isSpent = false;
    timers.advance(1_000);
    expect(await ann.traffic()).toEqual({ sentBytes: 7, receivedBytes: 7 });
  });
});
