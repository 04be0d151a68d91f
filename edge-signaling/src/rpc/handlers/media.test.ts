import { CONTROL_REQUESTS, MemoryPlacementStore } from '@plenary/cluster';
import type { RoomView } from '@plenary/cluster';
import { MAX_CONSUMERS, ROUTER_RTP_CAPABILITIES } from '@plenary/cluster/protocol';
import type { RoomId } from '@plenary/cluster/ids';
import { describe, expect, it } from 'vitest';
import { BYTES_PER_CONSUMER } from '../../limits/cost.ts';
import { EntryGate } from '../../entry/gates/entry-gate.ts';
import { LimitedLog } from '../../limits/limited-log.ts';
import { EdgeBudgets } from '../../limits/meter.ts';
import { RoomReader } from '../../room/room-reader.ts';
import { ClientConnection } from '../../entry/client-connection.ts';
import { digestOfPerson } from '../../entry/person.ts';
import { EdgeParts, RecordingSocket, ROOM } from '../../testing/edge-parts.ts';
import { placing, TRANSPORT } from '../../testing/placing.ts';
import { handleMediaOpen } from './media.ts';

const AT_ONCE = 32;
const ADMISSION = CONTROL_REQUESTS['peer.admit'].payload;

/** Counts readings of whole rooms, each of which takes a turn of the event loop. */
class CountingPlacements extends MemoryPlacementStore {
  views = 0;

  override async view(roomId: RoomId): Promise<RoomView> {
    this.views += 1;
    await new Promise((resolve) => setImmediate(resolve));
    return super.view(roomId);
  }
}

async function openingOf(people: number, others: readonly string[] = []) {
  const parts = new EdgeParts((rooms) => ({ placements: new CountingPlacements(rooms) }));
  const { placements } = parts;
  const { placer, link } = await placing(others, parts, AT_ONCE);
  const { clock, localRooms, links, metrics } = parts;
  const mediaGate = new EntryGate({ atOnce: AT_ONCE, patienceMs: 8_000, clock, onWaiting: () => undefined });
  const handler = handleMediaOpen({
    placements,
    reader: new RoomReader(parts.stores),
    placer,
    drops: parts.drops,
    localRooms,
    links,
    mediaGate,
    mediaWatch: { keepFor: () => () => undefined, lose: () => Promise.resolve() },
    clock,
    keeper: { endAsGone: () => undefined },
    republisher: { room: () => Promise.resolve() },
    storeWait: { untilAvailable: () => Promise.resolve() },
  });
  const log = new LimitedLog({ metrics, logger: { warn: () => undefined }, clock });
  const budgets = new EdgeBudgets({ clock, socketsPerAddress: 2_000, log });
  const connections: ClientConnection[] = [];
  for (let count = 0; count < people; count += 1) {
    const socket = new RecordingSocket();
    const session = parts.hold(await parts.place(`p${count}`, 'lost'), socket);
    const connection = new ClientConnection(socket, { onSocketClosed: () => undefined }, budgets, localRooms);
    connection.apply({ type: 'entry_started', entry: { requestId: undefined, reply: undefined } });
    connection.apply({ type: 'entered', session });
    connections.push(connection);
  }
  const open = async (connection: ClientConnection) =>
    handler({ rtpCapabilities: ROUTER_RTP_CAPABILITIES, publish: false }, connection);
  return { placements, link, links, mediaGate, connections, open };
}

const audioConsumer = (id: string) => ({
  consumerId: id,
  trackId: `track-${id}`,
  peerId: 'somebody',
  kind: 'audio',
  source: 'microphone',
  rtpParameters: { codecs: [], encodings: [{ ssrc: 1 }] },
  paused: false,
  producerPaused: false,
});

describe('media.open', () => {
  it('[BU13] by 500 people of one room, whose media node was lost, reads the room a few times', async () => {
    // One node takes no more than some 170 until it has reported its load anew.
    const others = ['two', 'three', 'four'];
    const { placements, link, links, connections, open } = await openingOf(500, others);
    for (const one of [link, ...others.map((name) => links.add(name))])
      one.answer = () => ({ receiveTransport: TRANSPORT, consumers: [], failed: [] });
    await Promise.all(connections.map(open));
    expect(placements.views).toBeLessThan(40);
    expect((await placements.view(ROOM)).occupancy.peerCount).toBe(500);
  });

  it('[MS39] tells the media node whose media it is, of guests nothing', async () => {
    const { link, connections, open } = await openingOf(2);
    link.answer = () => ({ receiveTransport: TRANSPORT, consumers: [], failed: [] });
    const [ann, bob] = connections;
    if (ann === undefined || bob === undefined) throw new Error('nobody is there');
    const { tenant, sub } = ann.session.grants;
    await Promise.all([open(ann), open(bob)]);
    const persons = link.payloads('peer.admit').map((payload) => ADMISSION.parse(payload).person);
    expect(new Set(persons).size).toBe(2);
    expect(persons).toContain(digestOfPerson({ tenant, sub, guest: undefined }).person);
    expect(digestOfPerson({ tenant, sub, guest: true })).toEqual({});
  });

  it('[BU31] is paid for what comes with it', async () => {
    const { link, connections, open } = await openingOf(1);
    link.answer = () => ({ receiveTransport: TRANSPORT, consumers: [audioConsumer('one')], failed: [] });
    const [connection] = connections;
    if (connection === undefined) throw new Error('nobody is there');
    const settled: unknown[] = [];
    connection.adjustCharge = (cost) => settled.push(cost);
    await open(connection);
    expect(settled).toEqual([{ bytes: BYTES_PER_CONSUMER }]);
  });

  it('[BU9] counts the consumers that come with it among those that a client may open', async () => {
    const { link, connections, open } = await openingOf(1);
    link.answer = () => ({
      receiveTransport: TRANSPORT,
      consumers: [audioConsumer('one'), audioConsumer('two')],
      failed: [],
    });
    const [connection] = connections;
    if (connection === undefined) throw new Error('nobody is there');
    const { epoch, consumers } = await open(connection);
    expect(consumers).toHaveLength(2);
    expect(connection.session.consumers.roomOn(epoch)).toBe(MAX_CONSUMERS - 2);
  });

  it('[BU2] [BU14] holds no place in the gate while a media node admits, of which so many are under way at a time', async () => {
    const { link, connections, mediaGate, open } = await openingOf(2 * AT_ONCE);
    const admitted: (() => void)[] = [];
    link.answer = () =>
      new Promise((resolve) => {
        admitted.push(() => resolve({ receiveTransport: TRANSPORT, consumers: [], failed: [] }));
      });
    const opened = connections.map(open);
    await expect.poll(() => admitted.length).toBe(AT_ONCE);
    await expect.poll(() => mediaGate.isIdle).toBe(true);
    let answered = 0;
    const all = Promise.all(opened);
    await expect
      .poll(() => {
        for (; answered < admitted.length; answered += 1) admitted[answered]?.();
        return answered;
      })
      .toBe(2 * AT_ONCE);
    expect(await all).toHaveLength(2 * AT_ONCE);
  });
});
