import { MemoryPlacementStore, PlenaryError } from '@plenary/cluster';
import type { Placement, StoredTrack } from '@plenary/cluster';
import { edge, peer, room, track } from '@plenary/cluster/testing/samples';
import { describe, expect, it } from 'vitest';
import { EdgeParts, OWN_EDGE, ROOM, placedOf } from '../testing/edge-parts.ts';
import { Sweeper } from './sweeper.ts';

const LEASE_MS = 3_000;
const RESUME_MS = 5_000;
const LONG_MS = 60_000;

/** @param missingForMs - for how long edges other than this one and all media nodes have been missing */
function sweeping(missingForMs = 0, parts: EdgeParts = new EdgeParts()) {
  const sweeper = new Sweeper({
    edgeId: OWN_EDGE,
    placements: parts.placements,
    roomLog: parts.roomLog,
    isStoreAvailable: () => true,
    localRooms: parts.localRooms,
    departures: parts.departures(),
    links: parts.links,
    missingForMs: () => missingForMs,
    leaseMs: LEASE_MS,
    resumeWithinMs: RESUME_MS,
    channel: parts.channel,
    clock: parts.clock,
    metrics: parts.metrics,
    reportFault: parts.reportFault,
  });
  const sweepLater = async (afterMs: number): Promise<void> => {
    parts.clock.advance(afterMs);
    await sweeper.sweep();
  };
  return { parts, sweeper, sweepLater };
}

/** A room that cannot be read, as one whose part of a Redis Cluster is away. */
class BrokenPlacements extends MemoryPlacementStore {
  override all(...[roomId]: Parameters<MemoryPlacementStore['all']>) {
    if (roomId === BROKEN_ROOM) return Promise.reject(new PlenaryError('store_unavailable'));
    return super.all(roomId);
  }
}
const BROKEN_ROOM = room('broken');

const stored = (name: string, { peerId, epoch, mediaNodeId }: Placement): StoredTrack => ({
  trackId: track(name),
  peerId,
  epoch,
  homeNodeId: mediaNodeId,
  kind: 'audio',
  source: 'microphone',
  paused: false,
});

describe('Sweeper', () => {
  it('[SE13] [SE44] removes what the store says this edge holds and it does not, after looking for it at the others', async () => {
    const { parts, sweeper, sweepLater } = sweeping();
    const link = parts.links.add('node');
    const held = await parts.place('held', 'node');
    parts.hold(held);
    const ghost = await parts.place('ghost', 'node');
    await sweeper.sweep();
    await sweepLater(5_000);
    expect(parts.channel.told).toContainEqual({
      type: 'sessions.lookup',
      peerIds: [ghost.peerId],
      edgeId: OWN_EDGE,
    });
    expect(await parts.placements.placementOf(ROOM, ghost.peerId)).toBeDefined();
    await sweepLater(LONG_MS);
    expect(await parts.placements.placementOf(ROOM, ghost.peerId)).toBeUndefined();
    expect(link.payloads('peer.drop')).toEqual([placedOf(ghost)]);
    expect(await parts.placements.placementOf(ROOM, held.peerId)).toBeDefined();
  });

  it('[HE10] asks the other edges for many sessions in one message', async () => {
    const { parts, sweeper } = sweeping();
    for (const name of ['a', 'b', 'c']) await parts.place(name, 'node');
    sweeper.note(ROOM);
    await sweeper.sweep();
    const asked = parts.channel.told.filter(({ type }) => type === 'sessions.lookup');
    expect(asked).toEqual([
      { type: 'sessions.lookup', peerIds: [peer('a'), peer('b'), peer('c')], edgeId: OWN_EDGE },
    ]);
  });

  it('[SE44] keeps what another edge says meanwhile that it has', async () => {
    const { parts, sweeper, sweepLater } = sweeping();
    const sought = await parts.place('sought', 'node');
    sweeper.note(ROOM);
    await sweeper.sweep();
    await parts.placements.attachPeer(ROOM, sought.peerId, sought.epoch, edge('other'));
    await sweepLater(LONG_MS);
    await sweepLater(LONG_MS);
    expect(await parts.placements.placementOf(ROOM, sought.peerId)).toBeDefined();
  });

  it('[SE13] sweeps a room that was noted although nobody of it is here, and tells holders of sessions of theirs', async () => {
    const { parts, sweeper, sweepLater } = sweeping();
    const left = await parts.place('left', 'node');
    await parts.place('elsewhere', 'node', undefined, edge('other'));
    await sweepLater(LONG_MS);
    expect(await parts.placements.placementOf(ROOM, left.peerId)).toBeDefined();
    sweeper.note(ROOM);
    await sweeper.sweep();
    await sweepLater(5_000);
    await sweepLater(LONG_MS);
    expect(await parts.placements.placementOf(ROOM, left.peerId)).toBeUndefined();
    expect(parts.channel.told).toContainEqual({ type: 'room.lookup', roomId: ROOM, edgeId: edge('other') });
  });

  it('[SE14] ends tracks of a placement that was replaced, though their node lives, and no others', async () => {
    const { parts, sweeper, sweepLater } = sweeping();
    parts.links.add('node');
    const first = await parts.place('ann', 'node');
    await parts.roomLog.publishTrack(ROOM, stored('old', first));
    const second = await parts.place('ann', 'node', first.epoch);
    await parts.roomLog.publishTrack(ROOM, stored('new', second));
    parts.hold(second);
    await sweeper.sweep();
    expect((await parts.placements.view(ROOM)).tracks).toHaveLength(2);
    await sweepLater(5_000);
    expect((await parts.placements.view(ROOM)).tracks.map(({ trackId }) => trackId)).toEqual(['new']);
  });

  it('[EP7] keeps the tracks that a peer which moves has where it goes on, until it has moved', async () => {
    const { parts, sweepLater } = sweeping();
    parts.links.add('node');
    const first = await parts.place('ann', 'node');
    await parts.roomLog.publishTrack(ROOM, stored('old', first));
    const { peerId, requestId, edgeId, epoch } = first;
    const second = await parts.placements.placePeer({
      roomId: ROOM,
      peerId,
      requestId,
      edgeId,
      mediaNodeId: first.mediaNodeId,
      maxPeers: 10,
      replacesEpoch: epoch,
      keepsEpoch: epoch,
    });
    parts.hold(second);
    for (let sweep = 0; sweep < 3; sweep += 1) await sweepLater(5_000);
    expect((await parts.placements.view(ROOM)).tracks).toHaveLength(1);
    await parts.placements.completeMove(ROOM, peerId, second.epoch);
    for (let sweep = 0; sweep < 2; sweep += 1) await sweepLater(5_000);
    expect((await parts.placements.view(ROOM)).tracks).toEqual([]);
  });

  it('[SE38] asks a media node of a peer whose edge is missing, and does not take the peer from that edge', async () => {
    const { parts, sweeper } = sweeping(LONG_MS);
    const link = parts.links.add('node');
    link.answer = () => ({ alive: true });
    const talking = await parts.place('talking', 'node', undefined, edge('missing'));
    sweeper.note(ROOM);
    await sweeper.sweep();
    expect(link.asked).toEqual([{ name: 'peer.ask', payload: placedOf(talking) }]);
    expect(await parts.placements.placementOf(ROOM, talking.peerId)).toBeDefined();
    link.answer = () => ({ alive: false });
    await sweeper.sweep();
    expect(await parts.placements.placementOf(ROOM, talking.peerId)).toBeUndefined();
  });

  it('[SE39] one room that cannot be read costs no other one its sweep', async () => {
    const { parts, sweeper, sweepLater } = sweeping(
      0,
      new EdgeParts((rooms) => ({ placements: new BrokenPlacements(rooms) })),
    );
    sweeper.note(BROKEN_ROOM);
    parts.links.add('node');
    const ghost = await parts.place('ghost', 'node');
    sweeper.note(ROOM);
    await sweeper.sweep();
    await sweepLater(LONG_MS);
    expect(await parts.placements.placementOf(ROOM, ghost.peerId)).toBeUndefined();
  });

  it('[SE39] one peer whose media node does not answer costs no other one its sweep', async () => {
    const { parts, sweeper } = sweeping(LONG_MS);
    const hung = parts.links.add('hung');
    hung.answer = () => {
      throw new PlenaryError('timed_out');
    };
    const well = parts.links.add('well');
    well.answer = () => ({ alive: false });
    await parts.place('first', 'hung', undefined, edge('missing'));
    const second = await parts.place('second', 'well', undefined, edge('missing'));
    sweeper.note(ROOM);
    await sweeper.sweep();
    expect(await parts.placements.placementOf(ROOM, second.peerId)).toBeUndefined();
  });
});
