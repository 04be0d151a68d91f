import { CONSUMER_ID, PlenaryError, mintIncarnation } from '@plenary/cluster';
import type { MediaNodeRecord, StoredTrack } from '@plenary/cluster';
import { mediaNode, mediaNodeRecord, room, track } from '@plenary/cluster/testing/samples';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EdgeParts, ROOM, RecordingSocket, placedOf } from '../testing/edge-parts.ts';
import { MediaWatch } from './media-watch.ts';

function watching(mediaNodes: readonly MediaNodeRecord[] = []) {
  const parts = new EdgeParts();
  const { placements, roomLog, localRooms, channel, metrics, reportFault } = parts;
  return {
    parts,
    watch: new MediaWatch({
      placements,
      roomLog,
      localRooms,
      directory: { mediaNodes },
      channel,
      metrics,
      reportFault,
    }),
  };
}

const closed = { consumerId: CONSUMER_ID.parse('consumer'), trackId: track('track') };

describe('MediaWatch', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('[SE15] keeps what a node tells of a peer that is being taken in until its client can hear it', async () => {
    const { parts, watch } = watching();
    const placement = await parts.place('ann', 'node');
    const endKeeping = watch.keepFor(placement.peerId);
    watch.onConsumerClosed(mediaNode('node'), { ...placedOf(placement), ...closed });
    watch.onTrackDemand(mediaNode('node'), { ...placedOf(placement), trackId: closed.trackId, wanted: null });
    const socket = new RecordingSocket();
    parts.hold(placement, socket);
    endKeeping();
    expect(socket.told).toEqual([]);
    await vi.advanceTimersByTimeAsync(0);
    expect(socket.told).toEqual(['consumer.closed', 'track.demand']);
    watch.onConsumerClosed(mediaNode('node'), { ...placedOf(placement), ...closed });
    expect(socket.told).toHaveLength(3);
  });

  it('[CL15] believes a node only what it says of its own peers', async () => {
    const { parts, watch } = watching();
    const placement = await parts.place('ann', 'node');
    const socket = new RecordingSocket();
    parts.hold(placement, socket);
    const other = mediaNode('another');
    const placed = placedOf(placement);
    watch.onConsumerClosed(other, { ...placed, ...closed });
    watch.onPeerLost(other, { ...placed, reason: 'worker_died' });
    watch.onPeerMove(other, placed);
    await vi.advanceTimersByTimeAsync(0);
    expect(socket.told).toEqual([]);
    const speakers = [{ peerId: placement.peerId, volumeDbov: -20 }];
    watch.onSpeakers(other, { roomId: placed.roomId, speakers });
    watch.onSpeakers(mediaNode('node'), { roomId: placed.roomId, speakers });
    expect(parts.channel.published).toEqual([
      { mediaNodeId: 'another', speakers: [] },
      { mediaNodeId: 'node', speakers },
    ]);
    watch.onConsumerClosed(mediaNode('node'), { ...placed, ...closed });
    expect(socket.told).toEqual(['consumer.closed']);
  });

  it('[SE15] tells nothing of a placement that was given up', async () => {
    const { parts, watch } = watching();
    const first = await parts.place('ann', 'node');
    const endKeeping = watch.keepFor(first.peerId);
    watch.onConsumerClosed(mediaNode('node'), { ...placedOf(first), ...closed });
    const socket = new RecordingSocket();
    parts.hold(await parts.place('ann', 'another', first.epoch), socket);
    endKeeping();
    await vi.advanceTimersByTimeAsync(0);
    expect(socket.told).toEqual([]);
  });

  it('[SE8] ends the tracks of the lost placements, and not those that their peers published anew meanwhile', async () => {
    const { parts, watch } = watching();
    const first = await parts.place('ann', 'node');
    const [elsewhere, session] = [
      parts.hold(await parts.place('bob', 'node'), undefined, room('other')),
      parts.hold(first),
    ];
    const stored: StoredTrack = {
      trackId: track('old'),
      peerId: first.peerId,
      epoch: first.epoch,
      homeNodeId: first.mediaNodeId,
      kind: 'audio',
      source: 'microphone',
      paused: false,
    };
    await parts.roomLog.publishTrack(ROOM, stored);
    const second = await parts.place('ann', 'another', first.epoch);
    await parts.roomLog.publishTrack(ROOM, { ...stored, trackId: track('new'), epoch: second.epoch });
    const losing = watch.lose(
      [elsewhere, session].map((one) => ({ session: one, media: one.media })),
      'node_lost',
    );
    session.moveTo({ ...second, incarnation: undefined });
    await losing;
    expect((await parts.placements.view(ROOM)).tracks.map(({ trackId }) => trackId)).toEqual(['new']);
  });

  it('[SE8] ends the tracks of one room while the store has not answered for another', async () => {
    const { parts, watch } = watching();
    const other = room('other');
    const [slow, quick] = [
      parts.hold(await parts.place('bob', 'node'), undefined, other),
      parts.hold(await parts.place('ann', 'node')),
    ];
    const { peerId, media } = quick;
    await parts.roomLog.publishTrack(ROOM, {
      trackId: track('old'),
      peerId,
      epoch: media.epoch,
      homeNodeId: media.mediaNodeId,
      kind: 'audio',
      source: 'microphone',
      paused: false,
    });
    const answered = Promise.withResolvers<void>();
    const view = parts.placements.view.bind(parts.placements);
    vi.spyOn(parts.placements, 'view').mockImplementation(async (roomId) => {
      if (roomId === other) await answered.promise;
      return view(roomId);
    });
    const losing = watch.lose(
      [slow, quick].map((session) => ({ session, media: session.media })),
      'node_lost',
    );
    await vi.advanceTimersByTimeAsync(0);
    expect((await view(ROOM)).tracks).toEqual([]);
    answered.resolve();
    await losing;
  });

  it('[HL7] moves who finds no path to a node to another one, which may be reached, twice at most', async () => {
    const [gone, third, fourth] = ['gone', 'third', 'fourth'].map((name) => mediaNodeRecord(name));
    if (gone === undefined || third === undefined || fourth === undefined) throw new Error('three nodes');
    const { parts, watch } = watching([mediaNodeRecord('node'), gone, third, fourth]);
    const socket = new RecordingSocket();
    const first = await parts.place('ann', 'node');
    const session = parts.hold(first, socket);
    watch.onPeerUnreached(mediaNode('node'), placedOf(first));
    watch.onPeerUnreached(mediaNode('node'), placedOf(first));
    expect(socket.told).toEqual(['media.lost']);
    expect(session.unreachedNodes).toEqual(['node']);
    for (const name of ['third', 'fourth']) {
      const next = await parts.place('ann', name, session.media.epoch);
      session.moveTo({ ...next, incarnation: undefined });
      watch.onPeerUnreached(mediaNode(name), placedOf(next));
    }
    expect(socket.told).toEqual(['media.lost', 'media.lost']);
    expect(session.mediaIsLost).toBe(false);
    const { values } = await parts.metrics.mediaLost.get();
    expect(values.filter(({ value }) => value > 0)).toMatchObject([
      { labels: { reason: 'unreached' }, value: 2 },
    ]);
  });

  it('[HL7] leaves who finds no path where they are when there is no better node', async () => {
    const { parts, watch } = watching([
      mediaNodeRecord('node'),
      mediaNodeRecord('unreached', { isUnreached: true }),
      mediaNodeRecord('draining', { state: 'draining' }),
    ]);
    const socket = new RecordingSocket();
    const placement = await parts.place('ann', 'node');
    parts.hold(placement, socket);
    watch.onPeerUnreached(mediaNode('node'), placedOf(placement));
    expect(socket.told).toEqual([]);
  });

  it('[CL5] asks a node again for a peer whose question failed over a link that holds', async () => {
    const { parts, watch } = watching();
    const link = parts.links.add('node');
    parts.hold(await parts.place('ann', 'node'), new RecordingSocket());
    link.answer = () => {
      throw new PlenaryError('timed_out');
    };
    watch.onUp(link, mintIncarnation());
    await vi.advanceTimersByTimeAsync(0);
    expect(link.payloads('peer.attach')).toHaveLength(1);
    link.answer = () => ({ alive: true });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(link.payloads('peer.attach')).toHaveLength(2);
    watch.stop();
  });
});
