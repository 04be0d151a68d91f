import { FakeHandler } from 'mediasoup-client/handlers/FakeHandler';
import { describe, expect, test, vi } from 'vitest';
import { eventually } from './testing/eventually.ts';
import {
  chatEvent,
  consumerOffer,
  loggedEvent,
  peerOf,
  sessionOf,
  snapshotOf,
  trackOf,
} from './testing/fixtures.ts';
import { EDGE_A, EDGE_B, audioTrack, meet, phase, sessionReply, videoTrack } from './testing/meet.ts';
import { NO_ANSWER, ScriptedEdge, refuse } from './testing/scripted-edge.ts';

describe('joining', () => {
  test('joins in one request and consumes the offers of the reply', async () => {
    const edge = new ScriptedEdge();
    edge.room = snapshotOf({
      peers: [peerOf('self'), peerOf('peer-b', 'Ben')],
      tracks: [trackOf('t-audio', 'peer-b', 'microphone'), trackOf('t-video', 'peer-b', 'camera')],
    });
    edge.consumers = [
      consumerOffer('c-audio', { trackId: 't-audio', peerId: 'peer-b', source: 'microphone' }),
      consumerOffer('c-video', { trackId: 't-video', peerId: 'peer-b', source: 'camera' }),
    ];
    const meeting = meet(edge);
    await meeting.join();

    expect(phase(meeting)).toBe('joined');
    await eventually(() => {
      const statuses = [...meeting.getSnapshot().remoteTracks.values()].map(({ status }) => status);
      expect(statuses).toEqual(['live', 'live']);
    });
    expect(edge.requests('join')).toHaveLength(1);
    expect(edge.requests('subscribe')).toHaveLength(0);
    expect(edge.requests('consumers.update')).toHaveLength(0);
    expect(meeting.joinTimings.joinAnswered).toBeGreaterThan(0);
  });

  test('prepare() opens the connection once, and join() uses it', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await Promise.all([meeting.prepare(), meeting.prepare()]);
    await Promise.all([meeting.join(), meeting.join()]);

    expect(edge.sockets).toHaveLength(1);
    expect(edge.requests('join')).toHaveLength(1);
    expect(meeting.joinTimings.socketOpen).toBe(0);
  });

  test('a retryable refusal is tried again with the same request id', async () => {
    const edge = new ScriptedEdge();
    let attempts = 0;
    edge.on.join = (_payload, socket) => {
      attempts += 1;
      if (attempts === 1) refuse('no_media_node');
      return { session: sessionReply(edge, socket.url), room: edge.room, media: edge.media() };
    };
    const meeting = meet(edge);
    await meeting.join();

    const [first, second] = edge.requests('join');

    expect(second?.requestId).toBe(first?.requestId);
  });

  test('[RC25] a chat message that cannot be stored now is marked unsent and sent automatically later, once', async () => {
    const edge = new ScriptedEdge();
    edge.on['chat.post'] = () => refuse('store_unavailable');
    const meeting = meet(edge);
    await meeting.join();

    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      meeting.postChat('hi');
      await vi.advanceTimersByTimeAsync(100);
      const [unsent] = meeting.getSnapshot().outbox;
      expect(unsent).toMatchObject({ text: 'hi', status: 'failed', errorCode: 'store_unavailable' });
      await vi.advanceTimersByTimeAsync(60_000);
      const refused = edge.requests('chat.post').length;
      expect(refused).toBeGreaterThan(2);
      expect(meeting.getSnapshot().outbox).toMatchObject([{ status: 'failed' }]);
      edge.on = {};
      await vi.advanceTimersByTimeAsync(10_000);
      expect(meeting.getSnapshot().outbox).toMatchObject([{ text: 'hi', status: 'sent' }]);
      expect(new Set(edge.requests('chat.post').map(({ requestId }) => requestId)).size).toBe(1);
      await vi.advanceTimersByTimeAsync(60_000);
      expect(edge.requests('chat.post')).toHaveLength(refused + 1);
    } finally {
      vi.useRealTimers();
    }
  });

  test('[WB23] a page that stays open after its unloading had begun rejoins automatically', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();

    edge.on.resume = () => refuse('session_gone');
    meeting.unloadBegins();

    expect(phase(meeting)).toBe('joined');

    // Firefox closes the connection when the unloading begins.
    edge.socket.drop();

    await eventually(() => expect(edge.requests('join')).toHaveLength(2));
    await eventually(() => expect(phase(meeting)).toBe('joined'));
    expect(edge.requests('leave')).toHaveLength(1);
  });

  test('[WB23] a page that announced its leave and stays open rejoins even if its connection stayed open', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();

    // Twice, as after two clicks on links to downloads.
    meeting.unloadBegins();
    meeting.unloadBegins();

    await eventually(() => expect(edge.requests('join')).toHaveLength(2));
    await eventually(() => expect(phase(meeting)).toBe('joined'));
    expect(edge.requests('resume')).toEqual([]);
    expect(edge.requests('leave')).toHaveLength(1);
  });

  test('[WB22] a page that leaves after its unloading has begun does not come back', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();

    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      meeting.unloadBegins();
      meeting.leaveNow();
      await vi.advanceTimersByTimeAsync(60_000);
      expect([phase(meeting), edge.requests('join').length]).toEqual(['left', 1]);
    } finally {
      vi.useRealTimers();
    }
  });

  test('[NW7] a machine that slept during the search for an edge continues the search when it wakes', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    const now = performance.now.bind(performance);
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();

    edge.dead.add(EDGE_A);
    edge.socket.drop();

    await eventually(() => expect(edge.sockets.length).toBeGreaterThan(3));

    // The machine wakes an hour later, and the network is not back at once.
    vi.spyOn(performance, 'now').mockImplementation(() => now() + 3_600_000);
    const attempts = edge.sockets.length;

    await eventually(() => expect(edge.sockets.length).toBeGreaterThan(attempts + 3));
    expect(phase(meeting)).toBe('reconnecting');

    edge.dead.clear();

    await eventually(() => expect(phase(meeting)).toBe('joined'));

    vi.restoreAllMocks();
  });

  test.each(['room_full', 'store_unavailable'] as const)(
    '%s ends the attempts at the deadline',
    async (code) => {
      const edge = new ScriptedEdge();
      edge.on.join = () => refuse(code);
      const meeting = meet(edge, { joinDeadlineMs: 0 });

      await expect(meeting.join()).rejects.toMatchObject({ code });
      expect(meeting.getSnapshot().connection).toMatchObject({ phase: 'failed', error: { code } });
    },
  );

  test.each(['room_full', 'tenant_limit_reached'] as const)(
    '[WB9] a first join to a full meeting fails at once (%s)',
    async (code) => {
      const edge = new ScriptedEdge();
      edge.on.join = () => refuse(code);
      const meeting = meet(edge);

      await expect(meeting.join()).rejects.toMatchObject({ code });
      expect(edge.requests('join')).toHaveLength(1);
      expect(meeting.getSnapshot().connection).toMatchObject({ phase: 'failed', error: { code } });
    },
  );

  test('[WB44] a rejoin to a full meeting waits for a place, which may be the user’s own previous one', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();

    edge.on.resume = () => refuse('session_gone');
    let requestCount = 0;
    edge.on.join = () => {
      requestCount += 1;
      return requestCount === 1
        ? refuse('room_full')
        : { session: sessionOf(), room: edge.room, media: edge.media() };
    };
    edge.socket.drop();

    await eventually(() => expect(edge.requests('join')).toHaveLength(3));
    await eventually(() => expect(phase(meeting)).toBe('joined'));

    vi.restoreAllMocks();
  });

  test('a final refusal fails the join at once', async () => {
    const edge = new ScriptedEdge();
    edge.on.join = () => refuse('token_wrong_room');
    const meeting = meet(edge);

    await expect(meeting.join()).rejects.toMatchObject({ code: 'token_wrong_room' });
    expect(edge.requests('join')).toHaveLength(1);
  });

  test('an expired token is renewed once', async () => {
    const edge = new ScriptedEdge();
    edge.on.join = ({ token }, socket) =>
      token === 'new'
        ? { session: sessionReply(edge, socket.url), room: edge.room, media: edge.media() }
        : refuse('token_expired');
    const freshRequested: boolean[] = [];
    const getToken = ({ fresh }: { fresh: boolean }): Promise<string> => {
      freshRequested.push(fresh);
      return Promise.resolve(fresh ? 'new' : 'old');
    };
    const meeting = meet(edge, { getToken });
    await meeting.join();

    expect(freshRequested).toEqual([false, true]);
  });

  test('if the first edge is down, the second one is used', async () => {
    const edge = new ScriptedEdge();
    edge.dead.add(EDGE_A);
    const meeting = meet(edge, { edgeUrls: [EDGE_A, EDGE_B] });
    await meeting.join();

    expect(meeting.getSnapshot().connection).toEqual({ phase: 'joined', edgeUrl: EDGE_B });
  });

  test('an edge that was announced during the meeting is used when the current one is lost', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();

    edge.notify('edges', { edges: [{ edgeId: 'edge-2', datacenter: 'sbg', url: EDGE_B }] });
    edge.dead.add(EDGE_A);
    edge.socket.drop();

    await eventually(() =>
      expect(meeting.getSnapshot().connection).toEqual({ phase: 'joined', edgeUrl: EDGE_B }),
    );
  });

  test('a reply that violates its schema fails the join and is counted', async () => {
    const edge = new ScriptedEdge();
    edge.on.join = () => ({ nonsense: true });
    const meeting = meet(edge);

    await expect(meeting.join()).rejects.toMatchObject({ code: 'malformed_message' });
    expect(meeting.counters.malformed).toBe(1);
  });

  test('[PR15] an edge of another version is left for the others, until all have refused', async () => {
    const edge = new ScriptedEdge();
    edge.on.join = () => {
      delete edge.on.join;
      return refuse('protocol_version');
    };
    const meeting = meet(edge, { edgeUrls: [EDGE_A, EDGE_B] });
    await meeting.join();

    expect(meeting.getSnapshot().connection).toEqual({ phase: 'joined', edgeUrl: EDGE_B });

    const old = new ScriptedEdge();
    old.on.join = () => refuse('protocol_version');
    const outdated = meet(old, { edgeUrls: [EDGE_A, EDGE_B] });

    await expect(outdated.join()).rejects.toMatchObject({ code: 'protocol_version' });
    expect(old.requests('join')).toHaveLength(2);
  });

  test('leaving while joining leaves no connection behind', async () => {
    const edge = new ScriptedEdge();
    edge.on.join = () => NO_ANSWER;
    const meeting = meet(edge);
    const joining = meeting.join();
    joining.catch(() => undefined);

    await eventually(() => expect(edge.requests('join')).toHaveLength(1));

    await meeting.leave();

    await expect(joining).rejects.toBeDefined();
    expect(phase(meeting)).toBe('left');
    expect(edge.socket.closed).toBe(true);
  });

  test('a join during a pending leave waits for it, unless another leave cancels the join', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();

    const leaving = meeting.leave();
    const again = meeting.join();

    expect(meeting.join()).toBe(again);

    await Promise.all([leaving, again]);

    expect(phase(meeting)).toBe('joined');
    expect(edge.requests('join')).toHaveLength(2);

    const left = meeting.leave();
    const givenUp = meeting.join();
    givenUp.catch(() => undefined);
    await Promise.all([left, meeting.leave()]);

    await expect(givenUp).rejects.toMatchObject({ code: 'session_gone' });
    expect(phase(meeting)).toBe('left');
    expect(edge.requests('join')).toHaveLength(2);
  });
});

describe('the event log', () => {
  test('events in sequence are applied, repeated ones are dropped, malformed and unknown ones do no harm', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();

    const first = chatEvent('101-0', '100-0', 'hello');
    edge.notify('event', first);
    edge.notify('event', first);
    edge.socket.notify('event', { id: 'not an id' });
    edge.socket.notify('surprise', {});
    edge.notify('event', chatEvent('102-0', '101-0', 'world'));

    expect(meeting.getSnapshot().room.chat.map(({ text }) => text)).toEqual(['hello', 'world']);
    expect(meeting.counters).toMatchObject({ duplicateEvents: 1, malformed: 1, unknownNotices: 1, syncs: 0 });
  });

  test('[PR5] an unknown event of a later release keeps its place in the sequence, so that no later event is missed', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();

    edge.socket.notify('event', {
      id: '101-0',
      previousId: '100-0',
      event: { type: 'hand.raised', peerId: 'peer-b', level: 3 },
    });
    edge.notify('event', chatEvent('102-0', '101-0', 'after it'));

    expect(meeting.getSnapshot().room).toMatchObject({ lastEventId: '102-0', chat: [{ text: 'after it' }] });
    expect(meeting.counters).toMatchObject({ malformed: 0, syncs: 0 });
  });

  test('a gap in the sequence is requested from the edge, and no event is lost', async () => {
    const edge = new ScriptedEdge();
    const missing = chatEvent('101-0', '100-0', 'one');
    edge.on.sync = () => ({ type: 'events', events: [missing, chatEvent('102-0', '101-0', 'two')] });
    const meeting = meet(edge);
    await meeting.join();

    edge.notify('event', chatEvent('102-0', '101-0', 'two'));
    edge.notify('event', chatEvent('103-0', '102-0', 'three'));

    await eventually(() => {
      expect(meeting.getSnapshot().room.chat.map(({ text }) => text)).toEqual(['one', 'two', 'three']);
    });
    expect(edge.requests('sync')).toEqual([{ afterEventId: '100-0' }]);
  });

  test('a head that is ahead of the room triggers a sync request', async () => {
    const edge = new ScriptedEdge();
    edge.on.sync = () => ({
      type: 'snapshot',
      room: snapshotOf({ lastEventId: '200-0', peers: [peerOf('self'), peerOf('peer-c')] }),
    });
    const meeting = meet(edge);
    await meeting.join();

    edge.notify('head', { lastEventId: '200-0' });

    await eventually(() => expect(meeting.getSnapshot().room.peers.size).toBe(2));
  });
});

describe('subscriptions', () => {
  test('a track that is published after the join is subscribed to once, then resumed', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();

    edge.room = snapshotOf({
      tracks: [trackOf('t-video', 'peer-b', 'camera'), trackOf('t-audio', 'peer-b', 'microphone')],
    });
    edge.notify('event', loggedEvent('101-0', '100-0', { type: 'peer.joined', peer: peerOf('peer-b') }));
    edge.notify(
      'event',
      loggedEvent('102-0', '101-0', {
        type: 'track.published',
        track: trackOf('t-video', 'peer-b', 'camera'),
      }),
    );
    edge.notify(
      'event',
      loggedEvent('103-0', '102-0', {
        type: 'track.published',
        track: trackOf('t-audio', 'peer-b', 'microphone'),
      }),
    );

    await eventually(() => expect(edge.requests('consumers.update')).toHaveLength(1));
    expect(edge.requests('subscribe')).toMatchObject([{ trackIds: ['t-video', 't-audio'] }]);
    expect(edge.requests('consumers.update')[0]?.consumers).toMatchObject([{ paused: false }]);
    await eventually(() => {
      expect([...meeting.getSnapshot().remoteTracks.values()].map(({ status }) => status)).toEqual([
        'live',
        'live',
      ]);
    });
  });

  test('a subscription that failed with a retryable error is retried', async () => {
    const edge = new ScriptedEdge();
    edge.room = snapshotOf({ tracks: [trackOf('t-audio', 'peer-b', 'microphone')] });
    let requestCount = 0;
    edge.on.subscribe = () => {
      requestCount += 1;
      if (requestCount === 1) {
        return {
          consumers: [],
          failed: [
            { trackId: 't-audio', error: { code: 'media_unavailable', message: '', retryable: true } },
          ],
        };
      }
      return {
        consumers: [consumerOffer('c', { trackId: 't-audio', peerId: 'peer-b', source: 'microphone' })],
        failed: [],
      };
    };
    const meeting = meet(edge);
    await meeting.join();

    await eventually(() => {
      expect([...meeting.getSnapshot().remoteTracks.values()]).toMatchObject([{ status: 'live' }]);
    });
    expect(requestCount).toBe(2);
  });

  test('a video that is not on the screen is not subscribed to', async () => {
    const edge = new ScriptedEdge();
    edge.room = snapshotOf({
      tracks: [trackOf('t-video', 'peer-b', 'camera'), trackOf('t-audio', 'peer-b', 'microphone')],
    });
    const meeting = meet(edge);
    meeting.setWantedVideo(new Map());
    await meeting.join();

    await eventually(() => expect(edge.requests('subscribe')).toMatchObject([{ trackIds: ['t-audio'] }]));

    meeting.setWantedVideo('all');

    await eventually(() => expect(edge.requests('subscribe')[1]).toMatchObject({ trackIds: ['t-video'] }));
  });

  test('the wanted videos of the previous meeting are forgotten at the next join', async () => {
    const edge = new ScriptedEdge();
    edge.room = snapshotOf({ tracks: [trackOf('t-video', 'peer-b', 'camera')] });
    const meeting = meet(edge);
    meeting.setWantedVideo(new Map());
    await meeting.join();

    await meeting.leave();
    await meeting.join();

    await eventually(() => expect(edge.requests('subscribe')).toMatchObject([{ trackIds: ['t-video'] }]));
  });
});

describe('publishing', () => {
  test('tracks that were set before the join are published as muted, and unmuted later', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.publish('microphone', audioTrack(), { paused: true });
    await meeting.publish('camera', videoTrack());
    await meeting.join();

    await eventually(() => expect(edge.requests('track.publish')).toHaveLength(2));
    expect(edge.requests('track.publish').map(({ source, paused }) => [source, paused])).toEqual([
      ['microphone', true],
      ['camera', false],
    ]);
    await eventually(() => expect(meeting.getSnapshot().localTracks.get('microphone')?.status).toBe('live'));

    meeting.setMuted('microphone', false);

    await eventually(() =>
      expect(edge.requests('track.pause')).toMatchObject([{ trackId: 'own-1', paused: false }]),
    );
  });

  test('a publish that timed out is repeated with the same request id', async () => {
    const edge = new ScriptedEdge();
    let requestCount = 0;
    edge.on['track.publish'] = () => {
      requestCount += 1;
      return requestCount === 1 ? refuse('media_unavailable') : { trackId: 'own-x' };
    };
    const meeting = meet(edge);
    await meeting.join();

    await meeting.publish('microphone', audioTrack());

    await eventually(() => expect(meeting.getSnapshot().localTracks.get('microphone')?.status).toBe('live'));

    const [first, second] = edge.requests('track.publish');

    expect(second?.requestId).toBe(first?.requestId);
  });

  test('a screen share that the browser stops is ended at the edge', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();

    const track = videoTrack();
    await meeting.publish('screen', track);

    await eventually(() => expect(meeting.getSnapshot().localTracks.get('screen')?.status).toBe('live'));

    track.remoteStop();

    await eventually(() => expect(edge.requests('track.end')).toMatchObject([{ trackId: 'own-1' }]));
    expect(meeting.getSnapshot().localTracks.has('screen')).toBe(false);
  });

  test('[DM4] [DM7] layers without demand are switched off, and on again, also when demand changes quickly', async () => {
    const edge = new ScriptedEdge();
    const setMaxSpatialLayer = vi.spyOn(FakeHandler.prototype, 'setMaxSpatialLayer');
    const sent = (): number[] => setMaxSpatialLayer.mock.calls.map(([, spatialLayer]) => spatialLayer);
    // The demand notice arrives before the reply that names the track.
    edge.on['track.publish'] = () => {
      edge.notify('track.demand', { trackId: 'own-camera', wanted: 1 });
      return { trackId: 'own-camera' };
    };
    const meeting = meet(edge);
    await meeting.publish('camera', videoTrack());
    await meeting.join();

    await eventually(() => expect(sent()).toEqual([1]));

    for (const wanted of [null, 2, 0, 7, 7]) edge.notify('track.demand', { trackId: 'own-camera', wanted });

    await eventually(() => expect(sent()).toEqual([1, 0, 2, 0, 2]));

    setMaxSpatialLayer.mockRestore();
  });

  test('a refused publish is shown, and other tracks are not affected', async () => {
    const edge = new ScriptedEdge();
    edge.on['track.publish'] = () => refuse('forbidden');
    const meeting = meet(edge);
    await meeting.join();

    await meeting.publish('microphone', audioTrack());

    await eventually(() =>
      expect(meeting.getSnapshot().localTracks.get('microphone')?.status).toBe('failed'),
    );
    expect(phase(meeting)).toBe('joined');
  });
});

describe('the roster and the chat', () => {
  test('pages are loaded until every publisher has a name', async () => {
    const edge = new ScriptedEdge();
    edge.room = snapshotOf({
      peerCount: 3,
      nextCursor: 'next',
      tracks: [trackOf('t-audio', 'peer-c', 'microphone')],
    });
    edge.on['roster.page'] = () => ({ peers: [peerOf('peer-b', 'Ben'), peerOf('peer-c', 'Cy')] });
    const meeting = meet(edge);
    await meeting.join();

    await eventually(() => expect(meeting.getSnapshot().room.peers.size).toBe(3));
    expect(meeting.getSnapshot().room.nextCursor).toBeUndefined();
    expect(edge.requests('roster.page')).toEqual([{ cursor: 'next' }]);
  });

  test('an own message is in the outbox until the room log contains it', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();

    expect(meeting.postChat('   ')).toBe(false);

    meeting.postChat('hi');

    expect(meeting.getSnapshot().outbox).toMatchObject([{ text: 'hi', status: 'sending' }]);
    await eventually(() => expect(meeting.getSnapshot().outbox).toMatchObject([{ status: 'sent' }]));

    const message = {
      messageId: 'message-1',
      peerId: peerOf('self').peerId,
      displayName: 'Ada',
      text: 'hi',
      sentAtMs: 1_000,
    };
    edge.notify('event', loggedEvent('101-0', '100-0', { type: 'chat.posted', message }));

    expect(meeting.getSnapshot().outbox).toEqual([]);
    expect(meeting.getSnapshot().room.chat).toHaveLength(1);
  });

  test('a message whose event arrives before the reply does not stay in the outbox', async () => {
    const edge = new ScriptedEdge();
    const message = {
      messageId: 'message-1',
      peerId: peerOf('self').peerId,
      displayName: 'Ada',
      text: 'hi',
      sentAtMs: 1_000,
    };
    edge.on['chat.post'] = () => {
      edge.notify('event', loggedEvent('101-0', '100-0', { type: 'chat.posted', message }));
      return { message };
    };
    const meeting = meet(edge);
    await meeting.join();

    meeting.postChat('hi');

    await eventually(() => expect(meeting.getSnapshot().outbox).toEqual([]));
    expect(meeting.getSnapshot().room.chat).toHaveLength(1);
  });

  test('a refused message can be sent once more with the same id', async () => {
    const edge = new ScriptedEdge();
    edge.on['chat.post'] = () => refuse('rate_limited');
    const meeting = meet(edge);
    await meeting.join();

    meeting.postChat('hi');

    await eventually(() =>
      expect(meeting.getSnapshot().outbox).toMatchObject([{ status: 'failed', errorCode: 'rate_limited' }]),
    );

    edge.on = {};
    const [failed] = meeting.getSnapshot().outbox;
    if (failed !== undefined) meeting.retryChat(failed.requestId);

    await eventually(() => expect(meeting.getSnapshot().outbox).toMatchObject([{ status: 'sent' }]));

    const [first, second] = edge.requests('chat.post');

    expect(second?.requestId).toBe(first?.requestId);
  });
});
