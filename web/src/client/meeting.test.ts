import { FakeMediaStreamTrack } from 'fake-mediastreamtrack';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Meeting, type MeetingOptions } from './index.ts';
import { chatEvent, consumerOffer, loggedEvent, peerOf, snapshotOf, trackOf } from './testing/fixtures.ts';
import { NO_ANSWER, ScriptedEdge, fakeDevice, refuse } from './testing/scripted-edge.ts';

const EDGE_A = 'http://edge-a.test:3000';
const EDGE_B = 'http://edge-b.test:3000';

let meetings: Meeting[] = [];

function meet(edge: ScriptedEdge, options: Partial<MeetingOptions> = {}): Meeting {
  const meeting = new Meeting({
    edgeUrls: [EDGE_A],
    roomId: 'room',
    token: 'token',
    displayName: 'Ada',
    signalling: edge,
    createDevice: fakeDevice,
    log: { warn: () => undefined },
    ...options,
  });
  meetings.push(meeting);
  return meeting;
}

function audioTrack(): MediaStreamTrack {
  return new FakeMediaStreamTrack({ kind: 'audio' });
}

function videoTrack(): MediaStreamTrack {
  return new FakeMediaStreamTrack({ kind: 'video' });
}

const phase = (meeting: Meeting): string => meeting.getSnapshot().connection.phase;

afterEach(() => {
  for (const meeting of meetings) meeting.leaveNow();
  meetings = [];
});

describe('joining', () => {
  test('joins in one request and consumes what the answer brings', async () => {
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
    await vi.waitFor(() => {
      const statuses = [...meeting.getSnapshot().remoteTracks.values()].map(({ status }) => status);
      expect(statuses).toEqual(['live', 'live']);
    });
    expect(edge.requests('join')).toHaveLength(1);
    expect(edge.requests('subscribe')).toHaveLength(0);
    expect(edge.requests('consumers.update')).toHaveLength(0);
    expect(meeting.joinTimings.joinAnswered).toBeGreaterThan(0);
  });

  test('prepare() opens the socket once, and join() uses it', async () => {
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

  test('a final refusal is told at once', async () => {
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
    const asked: boolean[] = [];
    const getToken = ({ fresh }: { fresh: boolean }): Promise<string> => {
      asked.push(fresh);
      return Promise.resolve(fresh ? 'new' : 'old');
    };
    const { token: _none, ...options } = { token: undefined, getToken };
    const meeting = new Meeting({
      edgeUrls: [EDGE_A],
      roomId: 'room',
      signalling: edge,
      createDevice: fakeDevice,
      log: { warn: () => undefined },
      ...options,
    });
    meetings.push(meeting);
    await meeting.join();
    expect(asked).toEqual([false, true]);
  });

  test('the first edge being down, the second one is used', async () => {
    const edge = new ScriptedEdge();
    edge.dead.add(EDGE_A);
    const meeting = meet(edge, { edgeUrls: [EDGE_A, EDGE_B] });
    await meeting.join();
    expect(meeting.getSnapshot().connection).toEqual({ phase: 'joined', edgeUrl: EDGE_B });
  });

  test('a reply that breaks its schema fails the join and is counted', async () => {
    const edge = new ScriptedEdge();
    edge.on.join = () => ({ nonsense: true });
    const meeting = meet(edge);
    await expect(meeting.join()).rejects.toMatchObject({ code: 'malformed_message' });
    expect(meeting.counters.malformed).toBe(1);
  });

  test('leaving while joining leaves no connection behind', async () => {
    const edge = new ScriptedEdge();
    edge.on.join = () => NO_ANSWER;
    const meeting = meet(edge);
    const joining = meeting.join();
    joining.catch(() => undefined);
    await vi.waitFor(() => expect(edge.requests('join')).toHaveLength(1));
    await meeting.leave();
    await expect(joining).rejects.toBeDefined();
    expect(phase(meeting)).toBe('left');
    expect(edge.socket.closed).toBe(true);
  });
});

describe('the event log', () => {
  test('events in order are applied, repeated ones dropped, malformed and unknown ones survived', async () => {
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

  test('a gap is asked for, and nothing is lost', async () => {
    const edge = new ScriptedEdge();
    const missing = chatEvent('101-0', '100-0', 'one');
    edge.on.sync = () => ({ type: 'events', events: [missing, chatEvent('102-0', '101-0', 'two')] });
    const meeting = meet(edge);
    await meeting.join();
    edge.notify('event', chatEvent('102-0', '101-0', 'two'));
    edge.notify('event', chatEvent('103-0', '102-0', 'three'));
    await vi.waitFor(() => {
      expect(meeting.getSnapshot().room.chat.map(({ text }) => text)).toEqual(['one', 'two', 'three']);
    });
    expect(edge.requests('sync')).toEqual([{ afterEventId: '100-0' }]);
  });

  test('a head that is ahead of the room is asked for', async () => {
    const edge = new ScriptedEdge();
    edge.on.sync = () => ({
      type: 'snapshot',
      room: snapshotOf({ lastEventId: '200-0', peers: [peerOf('self'), peerOf('peer-c')] }),
    });
    const meeting = meet(edge);
    await meeting.join();
    edge.notify('head', { lastEventId: '200-0' });
    await vi.waitFor(() => expect(meeting.getSnapshot().room.peers.size).toBe(2));
  });
});

describe('subscriptions', () => {
  test('a track that comes later is subscribed to once, then resumed', async () => {
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
    await vi.waitFor(() => expect(edge.requests('consumers.update')).toHaveLength(1));
    expect(edge.requests('subscribe')).toEqual([{ trackIds: ['t-video', 't-audio'] }]);
    expect(edge.requests('consumers.update')[0]?.consumers).toMatchObject([{ paused: false }]);
    await vi.waitFor(() => {
      expect([...meeting.getSnapshot().remoteTracks.values()].map(({ status }) => status)).toEqual([
        'live',
        'live',
      ]);
    });
  });

  test('what failed and may succeed later is tried again', async () => {
    const edge = new ScriptedEdge();
    edge.room = snapshotOf({ tracks: [trackOf('t-audio', 'peer-b', 'microphone')] });
    let asked = 0;
    edge.on.subscribe = () => {
      asked += 1;
      if (asked === 1) {
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
    await vi.waitFor(() => {
      expect([...meeting.getSnapshot().remoteTracks.values()]).toMatchObject([{ status: 'live' }]);
    }, 4_000);
    expect(asked).toBe(2);
  });

  test('a video that is not on the screen is not subscribed to', async () => {
    const edge = new ScriptedEdge();
    edge.room = snapshotOf({
      tracks: [trackOf('t-video', 'peer-b', 'camera'), trackOf('t-audio', 'peer-b', 'microphone')],
    });
    const meeting = meet(edge);
    meeting.setWantedVideo(new Map());
    await meeting.join();
    await vi.waitFor(() => expect(edge.requests('subscribe')).toEqual([{ trackIds: ['t-audio'] }]));
    meeting.setWantedVideo('all');
    await vi.waitFor(() => expect(edge.requests('subscribe')[1]).toEqual({ trackIds: ['t-video'] }));
  });
});

describe('publishing', () => {
  test('tracks given before the join are published, muted as asked, and unmuted later', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.publish('microphone', audioTrack(), { paused: true });
    await meeting.publish('camera', videoTrack());
    await meeting.join();
    await vi.waitFor(() => expect(edge.requests('track.publish')).toHaveLength(2));
    expect(edge.requests('track.publish').map(({ source, paused }) => [source, paused])).toEqual([
      ['microphone', true],
      ['camera', false],
    ]);
    await vi.waitFor(() => expect(meeting.getSnapshot().localTracks.get('microphone')?.status).toBe('live'));
    meeting.setMuted('microphone', false);
    await vi.waitFor(() =>
      expect(edge.requests('track.pause')).toEqual([{ trackId: 'own-1', paused: false }]),
    );
  });

  test('a publish that timed out is repeated with the same request id', async () => {
    const edge = new ScriptedEdge();
    let asked = 0;
    edge.on['track.publish'] = () => {
      asked += 1;
      return asked === 1 ? refuse('media_unavailable') : { trackId: 'own-x' };
    };
    const meeting = meet(edge);
    await meeting.join();
    await meeting.publish('microphone', audioTrack());
    await vi.waitFor(
      () => expect(meeting.getSnapshot().localTracks.get('microphone')?.status).toBe('live'),
      4_000,
    );
    const [first, second] = edge.requests('track.publish');
    expect(second?.requestId).toBe(first?.requestId);
  });

  test('a screen share that the browser stops is ended for everybody', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();
    const track = videoTrack();
    await meeting.publish('screen', track);
    await vi.waitFor(() => expect(meeting.getSnapshot().localTracks.get('screen')?.status).toBe('live'));
    (track as FakeMediaStreamTrack).remoteStop();
    await vi.waitFor(() => expect(edge.requests('track.end')).toEqual([{ trackId: 'own-1' }]));
    expect(meeting.getSnapshot().localTracks.has('screen')).toBe(false);
  });

  test('a refused publish is shown, and costs nothing else', async () => {
    const edge = new ScriptedEdge();
    edge.on['track.publish'] = () => refuse('forbidden');
    const meeting = meet(edge);
    await meeting.join();
    await meeting.publish('microphone', audioTrack());
    await vi.waitFor(() =>
      expect(meeting.getSnapshot().localTracks.get('microphone')?.status).toBe('failed'),
    );
    expect(phase(meeting)).toBe('joined');
  });
});

describe('when things break', () => {
  test('a lost edge is replaced by another one; media stays, missed events and chat arrive', async () => {
    const edge = new ScriptedEdge();
    edge.edges = [EDGE_A, EDGE_B];
    const meeting = meet(edge);
    await meeting.publish('microphone', audioTrack());
    await meeting.join();
    await vi.waitFor(() => expect(meeting.getSnapshot().localTracks.get('microphone')?.status).toBe('live'));
    edge.on.resume = ({ lastEventId }) => ({
      session: sessionReply(edge, EDGE_B),
      catchUp: { type: 'events', events: [chatEvent('101-0', lastEventId, 'missed')] },
      mediaAlive: true,
    });
    edge.dead.add(EDGE_A);
    edge.socket.drop();
    expect(phase(meeting)).toBe('reconnecting');
    expect(meeting.postChat('written meanwhile')).toBe(true);
    meeting.setMuted('microphone', true);
    await vi.waitFor(() =>
      expect(meeting.getSnapshot().connection).toEqual({ phase: 'joined', edgeUrl: EDGE_B }),
    );
    expect(meeting.getSnapshot().room.chat.map(({ text }) => text)).toEqual(['missed']);
    await vi.waitFor(() => {
      expect(edge.requests('chat.post')).toHaveLength(1);
      expect(edge.requests('track.pause')).toEqual([{ trackId: 'own-1', paused: true }]);
    });
    expect(edge.requests('track.publish')).toHaveLength(1);
    expect(edge.requests('join')).toHaveLength(1);
    expect(edge.requests('media.open')).toHaveLength(0);
  });

  test('the newest session token is used for the resume', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();
    edge.notify('session.renewed', { sessionToken: 'renewed' });
    edge.socket.drop();
    await vi.waitFor(() =>
      expect(edge.requests('resume')).toMatchObject([{ sessionToken: 'renewed', lastEventId: '100-0' }]),
    );
  });

  test('a session that is gone is begun anew by a join, with its tracks', async () => {
    const edge = new ScriptedEdge();
    edge.on.resume = () => refuse('session_gone');
    const meeting = meet(edge);
    await meeting.publish('microphone', audioTrack());
    await meeting.join();
    await vi.waitFor(() => expect(edge.requests('track.publish')).toHaveLength(1));
    edge.socket.drop();
    await vi.waitFor(() => expect(edge.requests('join')).toHaveLength(2), 3_000);
    await vi.waitFor(() => expect(edge.requests('track.publish')).toHaveLength(2));
    const [first, second] = edge.requests('join');
    expect(second?.requestId).not.toBe(first?.requestId);
    expect(phase(meeting)).toBe('joined');
  });

  test('lost media is opened anew once, consumed and published again', async () => {
    const edge = new ScriptedEdge();
    edge.room = snapshotOf({ tracks: [trackOf('t-audio', 'peer-b', 'microphone')] });
    edge.consumers = [consumerOffer('c-1', { trackId: 't-audio', peerId: 'peer-b', source: 'microphone' })];
    const meeting = meet(edge);
    await meeting.publish('microphone', audioTrack());
    await meeting.join();
    await vi.waitFor(() => expect(edge.requests('track.publish')).toHaveLength(1));
    let asked = 0;
    edge.on['media.open'] = () => {
      asked += 1;
      return asked === 1 ? refuse('no_media_node') : edge.media();
    };
    edge.notify('media.lost', { reason: 'node_lost' });
    edge.notify('media.lost', { reason: 'transport_failed' });
    expect(meeting.getSnapshot().media).toBe('reconnecting');
    expect([...meeting.getSnapshot().remoteTracks.values()]).toMatchObject([{ status: 'waiting' }]);
    await vi.waitFor(() => expect(edge.requests('track.publish')).toHaveLength(2), 4_000);
    await vi.waitFor(() =>
      expect([...meeting.getSnapshot().remoteTracks.values()]).toMatchObject([{ status: 'live' }]),
    );
    expect(edge.requests('media.open')).toHaveLength(2);
    expect(meeting.counters.mediaReopened).toBe(1);
    const [first, second] = edge.requests('track.publish');
    expect(second?.requestId).not.toBe(first?.requestId);
  });

  test('media that was lost while no edge answered is opened after the resume', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();
    edge.on.resume = () => ({
      session: sessionReply(edge, EDGE_A),
      catchUp: { type: 'events', events: [] },
      mediaAlive: false,
    });
    edge.socket.drop();
    await vi.waitFor(() => expect(edge.requests('media.open')).toHaveLength(1), 3_000);
    expect(phase(meeting)).toBe('joined');
  });

  test('a bye with a final error ends the meeting and says why', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();
    edge.notify('bye', { code: 'flooding', message: 'too much', retryable: false });
    expect(meeting.getSnapshot().connection).toMatchObject({ phase: 'failed', error: { code: 'flooding' } });
    expect(edge.socket.closed).toBe(true);
  });

  test('a bye of an edge that shuts down leads to another edge', async () => {
    const edge = new ScriptedEdge();
    edge.edges = [EDGE_A, EDGE_B];
    const meeting = meet(edge);
    await meeting.join();
    edge.notify('bye', { code: 'shutting_down', message: '', retryable: true });
    await vi.waitFor(
      () => expect(meeting.getSnapshot().connection).toEqual({ phase: 'joined', edgeUrl: EDGE_B }),
      3_000,
    );
  });

  test('leaving tells the edge and closes', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();
    await meeting.leave();
    expect(edge.requests('leave')).toHaveLength(1);
    expect(edge.socket.closed).toBe(true);
    expect(phase(meeting)).toBe('left');
    expect(meeting.getSnapshot().media).toBe('none');
    await meeting.join();
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
    await vi.waitFor(() => expect(meeting.getSnapshot().room.peers.size).toBe(3));
    expect(meeting.getSnapshot().room.nextCursor).toBeUndefined();
    expect(edge.requests('roster.page')).toEqual([{ cursor: 'next' }]);
  });

  test('a message of one’s own is in the outbox until the log shows it', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();
    expect(meeting.postChat('   ')).toBe(false);
    meeting.postChat('hi');
    expect(meeting.getSnapshot().outbox).toMatchObject([{ text: 'hi', status: 'sending' }]);
    await vi.waitFor(() => expect(meeting.getSnapshot().outbox).toMatchObject([{ status: 'sent' }]));
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

  test('a refused message can be sent once more with the same id', async () => {
    const edge = new ScriptedEdge();
    edge.on['chat.post'] = () => refuse('rate_limited');
    const meeting = meet(edge);
    await meeting.join();
    meeting.postChat('hi');
    await vi.waitFor(() =>
      expect(meeting.getSnapshot().outbox).toMatchObject([{ status: 'failed', errorCode: 'rate_limited' }]),
    );
    edge.on = {};
    const [failed] = meeting.getSnapshot().outbox;
    if (failed !== undefined) meeting.retryChat(failed.requestId);
    await vi.waitFor(() => expect(meeting.getSnapshot().outbox).toMatchObject([{ status: 'sent' }]));
    const [first, second] = edge.requests('chat.post');
    expect(second?.requestId).toBe(first?.requestId);
  });
});

function sessionReply(edge: ScriptedEdge, url: string): unknown {
  const urls = edge.edges.length === 0 ? [url] : edge.edges;
  return {
    peerId: 'self',
    roomId: 'room',
    displayName: 'Ada',
    role: 'speaker',
    sessionToken: 'session-token',
    resumeWithinMs: 30_000,
    edgeId: 'edge-1',
    edges: urls.map((edgeUrl, index) => ({ edgeId: `edge-${index + 1}`, datacenter: 'gra', url: edgeUrl })),
  };
}
