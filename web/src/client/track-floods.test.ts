import { KIND_OF_SOURCE, type TrackSource } from '@plenary/cluster/protocol';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Meeting } from './index.ts';
import { eventually } from './testing/eventually.ts';
import { consumerOffer, loggedEvent, snapshotOf, trackOf } from './testing/fixtures.ts';
import { meet } from './testing/meet.ts';
import { ScriptedEdge } from './testing/scripted-edge.ts';

describe('peers that publish and end tracks without pause', () => {
  beforeEach(() => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  interface Flood {
    readonly meeting: Meeting;
    readonly edge: ScriptedEdge;
    readonly say: (event: Parameters<typeof loggedEvent>[2]) => void;
  }

  async function watch(source: TrackSource): Promise<Flood> {
    const edge = new ScriptedEdge();
    edge.room = snapshotOf();
    const paused = KIND_OF_SOURCE[source] === 'video';
    edge.on.subscribe = ({ trackIds }) => ({
      consumers: trackIds.map((trackId) =>
        consumerOffer(`c-${trackId}`, { trackId, peerId: 'peer-b', source, paused }),
      ),
      failed: [],
    });
    const meeting = meet(edge);
    await meeting.join();
    let eventId = 100;
    const say: Flood['say'] = (event) => {
      eventId += 1;
      edge.notify('event', loggedEvent(`${eventId}-0`, `${eventId - 1}-0`, event));
    };
    return { meeting, edge, say };
  }

  const live = (meeting: Meeting): string[] =>
    [...meeting.getSnapshot().remoteTracks.values()]
      .filter(({ status }) => status === 'live')
      .map(({ trackId }) => trackId);

  /** Most requests in four seconds, including the initial burst. */
  const AT_MOST = 8 + 2 * 5;

  test.each(['microphone', 'camera'] as const)(
    '[BU75] cost each viewer two requests a second, and every %s that stays is received',
    async (source) => {
      const { meeting, edge, say } = await watch(source);
      for (let count = 0; count < 200; count += 1) {
        const track = trackOf(`t-${count}`, 'peer-b', source);
        say({ type: 'track.published', track });
        await vi.advanceTimersByTimeAsync(20);
        if (count < 195)
          say({ type: 'track.ended', trackId: track.trackId, peerId: track.peerId, reason: 'unpublished' });
      }

      expect(edge.requests('subscribe').length).toBeLessThanOrEqual(AT_MOST);
      await eventually(() =>
        expect(live(meeting)).toEqual([195, 196, 197, 198, 199].map((count) => `t-${count}`)),
      );
      // Each subscribe request is followed by one request to resume its consumers.
      expect(edge.requests('consumers.update').length).toBeLessThanOrEqual(AT_MOST);
    },
  );

  test('[BU75] cost as little if each track replaces the previous one', async () => {
    const { meeting, edge, say } = await watch('camera');
    const publish = (count: number, replaces?: number): void => {
      const track = trackOf(`t-${count}`, 'peer-b', 'camera');
      const replaced = replaces === undefined ? undefined : trackOf(`t-${replaces}`, 'peer-b', 'camera');
      say({ type: 'track.published', track: { ...track, replaces: replaced?.trackId } });
    };
    const end = (count: number): void => {
      const { trackId, peerId } = trackOf(`t-${count}`, 'peer-b', 'camera');
      edge.notify('consumer.closed', { consumerId: `c-${trackId}`, trackId });
      say({ type: 'track.ended', trackId, peerId, reason: 'transport_closed' });
    };
    publish(0);
    await vi.advanceTimersByTimeAsync(20);
    for (let count = 1; count < 100; count += 1) {
      publish(count, count - 1);
      await vi.advanceTimersByTimeAsync(20);
      end(count - 1);
      await vi.advanceTimersByTimeAsync(20);
    }

    expect(edge.requests('subscribe').length).toBeLessThanOrEqual(AT_MOST);
    expect(edge.requests('unsubscribe').length).toBeLessThanOrEqual(AT_MOST);
    await eventually(() => expect(live(meeting)).toEqual(['t-99']));
  });

  test('[BU76] leave the last picture of a track that waits for its request', async () => {
    const { meeting, edge, say } = await watch('camera');
    const old = trackOf('t-old', 'peer-b', 'camera');
    const next = trackOf('t-new', 'peer-b', 'camera');
    const picture = (): MediaStreamTrack | undefined =>
      meeting.getSnapshot().remoteTracks.get(next.trackId)?.mediaTrack;
    say({ type: 'track.published', track: old });

    await eventually(() => expect(live(meeting)).toEqual(['t-old']));

    const before = meeting.getSnapshot().remoteTracks.get(old.trackId)?.mediaTrack;
    for (let count = 0; count < 20; count += 1) {
      say({ type: 'track.published', track: trackOf(`t-${count}`, 'peer-b', 'camera') });
      await vi.advanceTimersByTimeAsync(1);
    }
    const answer = edge.on.subscribe;
    const shown: unknown[] = [];
    edge.on.subscribe = (request, socket) => {
      if (request.trackIds.includes(next.trackId)) shown.push(picture());
      return answer?.(request, socket);
    };
    say({ type: 'track.published', track: { ...next, replaces: old.trackId } });
    edge.notify('consumer.closed', { consumerId: 'c-t-old', trackId: old.trackId });
    say({ type: 'track.ended', trackId: old.trackId, peerId: old.peerId, reason: 'transport_closed' });

    await eventually(() => expect(picture()).not.toBe(before));
    expect(shown).toEqual([before]);
    await eventually(() => expect(live(meeting)).toHaveLength(21));
  });

  test('[BU75] cost as little if their tracks change paths repeatedly, and old consumers are released in as few requests', async () => {
    const { meeting, edge, say } = await watch('microphone');
    let opened = 0;
    edge.on.subscribe = ({ trackIds }) => {
      opened += 1;
      return {
        consumers: trackIds.map((trackId) =>
          consumerOffer(`c-${trackId}-${opened}`, { trackId, peerId: 'peer-b', source: 'microphone' }),
        ),
        failed: [],
      };
    };
    const tracks = Array.from({ length: 30 }, (_, count) => trackOf(`t-${count}`, 'peer-b', 'microphone'));
    for (const track of tracks) say({ type: 'track.published', track });

    await eventually(() => expect(live(meeting)).toHaveLength(30));

    for (const { trackId } of tracks) {
      edge.notify('consumer.superseded', { consumerId: `c-${trackId}-1`, trackId });
      await vi.advanceTimersByTimeAsync(1);
    }
    const replaced = (): number =>
      edge.requests('unsubscribe').reduce((sum, { consumerIds }) => sum + consumerIds.length, 0);
    await vi.advanceTimersByTimeAsync(20_000);

    expect(replaced()).toBe(30);
    expect(edge.requests('subscribe').length).toBeLessThanOrEqual(1 + AT_MOST);
    expect(edge.requests('unsubscribe').length).toBeLessThanOrEqual(AT_MOST);
    expect(live(meeting)).toHaveLength(30);
  });
});
