import { Device, testFakeParameters } from 'mediasoup-client';
import { FakeHandler } from 'mediasoup-client/handlers/FakeHandler';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { EVENT_ID, PEER_ID, resumeProofText } from '@plenary/cluster/protocol';
import { MediaSession } from './media-session.ts';
import { MediaSilence } from './media-silence.ts';
import { eventually } from './testing/eventually.ts';
import {
  FIRST_EPOCH,
  chatEvent,
  consumerOffer,
  loggedEvent,
  peerOf,
  sessionOf,
  snapshotOf,
  trackOf,
} from './testing/fixtures.ts';
import { EDGE_A, EDGE_B, audioTrack, meet, phase, sessionReply } from './testing/meet.ts';
import { NO_ANSWER, ScriptedEdge, refuse } from './testing/scripted-edge.ts';

afterEach(() => vi.restoreAllMocks());

/** A browser whose connections throw during creation when the test says so. */
function moodyBrowser() {
  const handlers = new Set<FakeHandler>();
  const left = { send: 0, receive: 0 };
  const real = FakeHandler.createFactory(testFakeParameters);
  const factory: typeof real.factory = (options) => {
    const direction = options.direction === 'send' ? 'send' : 'receive';
    if (left[direction] > 0) {
      left[direction] -= 1;
      throw new DOMException('Cannot create so many PeerConnections', 'UnknownError');
    }
    const handler = real.factory(options);
    if (handler instanceof FakeHandler) {
      handlers.add(handler);
      vi.spyOn(handler, 'close').mockImplementationOnce(() => handlers.delete(handler));
    }
    return handler;
  };
  return {
    createDevice: () => Device.factory({ handlerFactory: { ...real, factory } }),
    throwNext: (direction: 'send' | 'receive', times: number): void => {
      left[direction] = times;
    },
    open: () => handlers.size,
  };
}

describe('when things break', () => {
  test('a lost edge is replaced by another one; the media session stays, and missed events and chat arrive', async () => {
    const edge = new ScriptedEdge();
    edge.edges = [EDGE_A, EDGE_B];
    const meeting = meet(edge);
    await meeting.publish('microphone', audioTrack());
    await meeting.join();

    await eventually(() => expect(meeting.getSnapshot().localTracks.get('microphone')?.status).toBe('live'));

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

    await eventually(() =>
      expect(meeting.getSnapshot().connection).toEqual({ phase: 'joined', edgeUrl: EDGE_B }),
    );
    expect(meeting.getSnapshot().room.chat.map(({ text }) => text)).toEqual(['missed']);
    await eventually(() => {
      expect(edge.requests('chat.post')).toHaveLength(1);
      expect(edge.requests('track.pause')).toMatchObject([{ trackId: 'own-1', paused: true }]);
    });
    expect(edge.requests('track.publish')).toHaveLength(1);
    expect(edge.requests('join')).toHaveLength(1);
    expect(edge.requests('media.open')).toHaveLength(0);
  });

  test('[SE16] an edge that owes a reply and sends nothing at all is left for another one', async () => {
    const edge = new ScriptedEdge();
    edge.edges = [EDGE_A, EDGE_B];
    edge.on['chat.post'] = () => NO_ANSWER;
    edge.on['edge.check'] = () => NO_ANSWER;
    edge.on.resume = ({ lastEventId }) => ({
      session: sessionReply(edge, EDGE_B),
      catchUp: { type: 'events', events: [chatEvent('101-0', lastEventId, 'missed')] },
      mediaAlive: true,
    });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'], shouldAdvanceTime: true });
    try {
      const meeting = meet(edge);
      await meeting.join();
      meeting.postChat('is anybody there?');
      await vi.advanceTimersByTimeAsync(2_500);
      edge.notify('head', { lastEventId: EVENT_ID.parse('100-0') });
      await vi.advanceTimersByTimeAsync(1_000);
      expect(edge.requests('resume')).toEqual([]);
      meeting.postChat('and now?');
      await vi.advanceTimersByTimeAsync(1_800);
      expect(edge.requests('resume')).toEqual([]);
      await eventually(() =>
        expect(meeting.getSnapshot().connection).toEqual({ phase: 'joined', edgeUrl: EDGE_B }),
      );
    } finally {
      vi.useRealTimers();
    }
  });

  test.each([true, false])(
    '[SE49] a resume starts the search for another path at once if no packets arrive, and otherwise does not (silent: %s)',
    async (isSilent) => {
      // The fake browser has no receivers that fall silent, and no paths to find.
      vi.spyOn(MediaSilence.prototype, 'isSilent', 'get').mockReturnValue(isSilent);
      const seekPath = vi.spyOn(MediaSession.prototype, 'seekPath');
      const edge = new ScriptedEdge();
      const meeting = meet(edge);
      await meeting.join();

      edge.socket.drop();

      await eventually(() => expect(edge.requests('resume')).toHaveLength(1));
      await eventually(() => expect(phase(meeting)).toBe('joined'));
      expect(seekPath).toHaveBeenCalledTimes(isSilent ? 1 : 0);
    },
  );

  test('the newest session token is used for the resume', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();

    edge.notify('session.renewed', { sessionToken: 'renewed' });
    edge.socket.drop();

    await eventually(() =>
      expect(edge.requests('resume')).toMatchObject([{ sessionToken: 'renewed', lastEventId: '100-0' }]),
    );
    expect(edge.requests('session.confirm')[0]).toEqual({ sessionToken: 'renewed' });
  });

  test('[SK1] a resume proves, for its own connection, the key that the join named; its new token is confirmed', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();

    edge.socket.drop();

    await eventually(() => expect(edge.requests('session.confirm')).toHaveLength(1));

    const [join] = edge.requests('join');
    const [resume] = edge.requests('resume');
    if (join === undefined || resume === undefined) throw new Error('it joined and resumed');
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
    const key = await crypto.subtle.importKey('jwk', { ...join.sessionKey }, algorithm, false, ['verify']);
    const isSignedFor = (connectionId: string): Promise<boolean> =>
      crypto.subtle.verify(
        { name: 'ECDSA', hash: 'SHA-256' },
        key,
        Uint8Array.from(atob(resume.proof.replaceAll('-', '+').replaceAll('_', '/')), (character) =>
          character.charCodeAt(0),
        ),
        new TextEncoder().encode(resumeProofText(connectionId, resume.sessionToken)),
      );

    expect(resume.roomId).toBe('room');
    expect(await isSignedFor('connection-2')).toBe(true);
    expect(await isSignedFor('connection-1')).toBe(false);
  });

  test('[HE4] the token of a resume is confirmed within 15 seconds, and not at once', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();

    vi.spyOn(Math, 'random').mockReturnValue(0.9);
    const timers = vi.spyOn(globalThis, 'setTimeout');
    edge.socket.drop();

    await eventually(() => expect(phase(meeting)).toBe('joined'));
    expect(edge.requests('session.confirm')).toEqual([]);

    const confirming = timers.mock.calls.find(([, delayMs]) => delayMs === 13_500);
    confirming?.[0]();

    expect(edge.requests('session.confirm')).toEqual([{ sessionToken: 'session-token' }]);
  });

  test('[SK13] a session token that is replaced by a newer one leads to a join with another key', async () => {
    const edge = new ScriptedEdge();
    edge.on.resume = () => refuse('token_replayed');
    const meeting = meet(edge);
    await meeting.join();

    edge.socket.drop();

    await eventually(() => expect(edge.requests('join')).toHaveLength(2));

    const [first, second] = edge.requests('join');

    expect(second?.sessionKey).not.toEqual(first?.sessionKey);
  });

  test('[HE12] a session that has ended is replaced by a join on the same connection, and its tracks are published again', async () => {
    const edge = new ScriptedEdge();
    edge.on.resume = () => refuse('session_gone');
    const meeting = meet(edge);
    await meeting.publish('microphone', audioTrack());
    await meeting.join();

    await eventually(() => expect(edge.requests('track.publish')).toHaveLength(1));

    edge.socket.drop();

    await eventually(() => expect(edge.requests('join')).toHaveLength(2));
    await eventually(() => expect(edge.requests('track.publish')).toHaveLength(2));

    const [first, second] = edge.requests('join');

    expect(second?.requestId).not.toBe(first?.requestId);
    expect(edge.sockets).toHaveLength(2);
    expect(phase(meeting)).toBe('joined');
  });

  test('[WB2] after a rejoin, no toast announces that the own previous peer left', async () => {
    const edge = new ScriptedEdge();
    edge.on.resume = () => refuse('session_gone');
    const meeting = meet(edge, { previousPeerIds: [PEER_ID.parse('before-the-reload')] });
    const announced: string[] = [];
    meeting.events.on('peer-left', ({ peerId }) => announced.push(peerId));
    await meeting.join();

    edge.room = snapshotOf({
      peers: [
        peerOf('before-the-reload', 'Ada'),
        peerOf('self', 'Ada'),
        peerOf('ben'),
        peerOf('again', 'Ada'),
      ],
    });
    edge.on.join = () => ({
      session: { ...sessionOf(), peerId: 'again' },
      room: edge.room,
      media: edge.media(),
    });
    edge.socket.drop();

    await eventually(() => expect(meeting.getSnapshot().self?.peerId).toBe('again'));

    let last = '100-0';
    for (const [index, peerId] of ['self', 'before-the-reload', 'ben'].entries()) {
      const id = `10${index + 1}-0`;
      const left = { type: 'peer.left', peerId: PEER_ID.parse(peerId), reason: 'connection_lost' } as const;
      edge.notify('event', loggedEvent(id, last, left));
      last = id;
    }

    expect(announced).toEqual(['ben']);
  });

  test('[WB2] after a return to a new room, no toast announces the user or events from before the return', async () => {
    const edge = new ScriptedEdge();
    edge.room = snapshotOf({ peers: [peerOf('self', 'Ada'), peerOf('ben', 'Ben')] });
    const meeting = meet(edge);
    const announced: string[] = [];
    meeting.events.on('peer-joined', ({ displayName }) => announced.push(`${displayName} joined`));
    meeting.events.on('peer-left', ({ displayName }) => announced.push(`${displayName} left`));
    await meeting.join();

    await meeting.leave();
    const again = peerOf('self-2', 'Ada');
    const carl = peerOf('carl', 'Carl');
    edge.on.join = (_payload, socket) => {
      // A room that everybody left has begun again: its events start with the user's own join, before the reply.
      const first = loggedEvent('1-0', '0-0', { type: 'peer.joined', peer: again });
      const second = loggedEvent('2-0', '1-0', { type: 'peer.joined', peer: carl });
      for (const event of [first, second]) socket.notify('event', event);
      return {
        session: { ...sessionOf(), peerId: again.peerId },
        room: snapshotOf({ lastEventId: '1-0', peers: [again] }),
        media: edge.media(),
      };
    };
    await meeting.join();

    await eventually(() => expect([...meeting.getSnapshot().room.peers.keys()]).toEqual(['self-2', 'carl']));
    expect(announced).toEqual(['Carl joined']);
  });

  test('a lost media session is reopened once; its tracks are consumed and published again', async () => {
    const edge = new ScriptedEdge();
    edge.room = snapshotOf({ tracks: [trackOf('t-audio', 'peer-b', 'microphone')] });
    edge.consumers = [consumerOffer('c-1', { trackId: 't-audio', peerId: 'peer-b', source: 'microphone' })];
    const meeting = meet(edge);
    await meeting.publish('microphone', audioTrack());
    await meeting.join();

    await eventually(() => expect(edge.requests('track.publish')).toHaveLength(1));

    let requestCount = 0;
    edge.on['media.open'] = () => {
      requestCount += 1;
      return requestCount === 1 ? refuse('no_media_node') : edge.media();
    };
    edge.notify('media.lost', { reason: 'node_lost', epoch: FIRST_EPOCH });
    edge.notify('media.lost', { reason: 'transport_failed', epoch: FIRST_EPOCH });

    expect(meeting.getSnapshot().media).toBe('reconnecting');
    expect([...meeting.getSnapshot().remoteTracks.values()]).toMatchObject([{ status: 'waiting' }]);
    await eventually(() => expect(edge.requests('track.publish')).toHaveLength(2));
    await eventually(() =>
      expect([...meeting.getSnapshot().remoteTracks.values()]).toMatchObject([{ status: 'live' }]),
    );
    expect(edge.requests('media.open')).toHaveLength(2);
    expect(meeting.counters.mediaReopened).toBe(1);

    const [first, second] = edge.requests('track.publish');

    expect(second?.requestId).not.toBe(first?.requestId);
  });

  test.each(['receive', 'send'] as const)(
    '[SE21] a browser that throws while it creates a new %s transport is retried until it succeeds',
    async (direction) => {
      const edge = new ScriptedEdge();
      const browser = moodyBrowser();
      const meeting = meet(edge, { createDevice: browser.createDevice });
      await meeting.publish('microphone', audioTrack());
      await meeting.join();

      await eventually(() => expect(edge.requests('track.publish')).toHaveLength(1));

      browser.throwNext(direction, 2);
      edge.notify('media.lost', { reason: 'node_lost', epoch: FIRST_EPOCH });

      await eventually(() => expect(edge.requests('track.publish')).toHaveLength(2));
      expect(edge.requests('media.open')).toHaveLength(3);
      expect(edge.requests('join')).toHaveLength(1);
      expect(phase(meeting)).toBe('joined');
      expect(meeting.counters.mediaReopened).toBe(1);
      // A browser limits its connections: those created before it threw must be closed.
      expect(browser.open()).toBe(2);
    },
  );

  test('an error that the browser throws during the join reaches the caller', async () => {
    const edge = new ScriptedEdge();
    const browser = moodyBrowser();
    browser.throwNext('send', 1);
    const meeting = meet(edge, { createDevice: browser.createDevice });

    await expect(meeting.join()).rejects.toMatchObject({ code: 'browser_failed' });
    expect(browser.open()).toBe(0);
  });

  test('a media session that is lost while no edge is connected is reopened after the resume', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();

    edge.on.resume = () => ({
      session: sessionReply(edge, EDGE_A),
      catchUp: { type: 'events', events: [] },
      mediaAlive: false,
    });
    edge.socket.drop();

    await eventually(() => expect(edge.requests('media.open')).toHaveLength(1));
    expect(phase(meeting)).toBe('joined');
  });

  test('a bye with a final error ends the meeting with that error', async () => {
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

    await eventually(() =>
      expect(meeting.getSnapshot().connection).toEqual({ phase: 'joined', edgeUrl: EDGE_B }),
    );
  });

  test('leaving sends a leave request and closes the connection', async () => {
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

  test('leaving twice sends one leave request, also if the page is unloaded meanwhile', async () => {
    const edge = new ScriptedEdge();
    const warnings: unknown[] = [];
    const meeting = meet(edge, { log: { warn: (...said) => void warnings.push(said) } });
    await meeting.join();

    await Promise.all([meeting.leave(), meeting.leave()]);
    await meeting.leave();

    expect(edge.requests('leave')).toHaveLength(1);
    expect(warnings).toEqual([]);

    await meeting.join();

    edge.on.leave = () => NO_ANSWER;
    const leaving = meeting.leave();
    meeting.leaveNow();
    await leaving;

    expect(edge.requests('leave')).toHaveLength(2);
    expect(phase(meeting)).toBe('left');
  });

  test.each(['connecting', 'joining'])(
    'who gives up a join that is %s, and joins again, does not wait for the one that was given up',
    async (when) => {
      const edge = new ScriptedEdge();
      const meeting = meet(edge);
      if (when === 'joining') edge.on.join = () => NO_ANSWER;
      const given = meeting.join();
      const over = expect(given).rejects.toMatchObject({ code: 'session_gone' });

      await eventually(() => expect(phase(meeting)).toBe(when));

      await meeting.leave();

      expect(phase(meeting)).toBe('left');

      delete edge.on.join;
      await meeting.join();

      expect(phase(meeting)).toBe('joined');

      await over;

      expect(phase(meeting)).toBe('joined');
    },
  );

  test('a token that arrives for a cancelled join does not disturb a later join', async () => {
    const edge = new ScriptedEdge();
    edge.room = snapshotOf({ peers: [peerOf('self', 'Ada'), peerOf('ben')] });
    const tokenRequests: PromiseWithResolvers<string>[] = [];
    const meeting = meet(edge, {
      getToken: () => {
        const answer = Promise.withResolvers<string>();
        tokenRequests.push(answer);
        return answer.promise;
      },
    });
    const over = expect(meeting.join()).rejects.toMatchObject({ code: 'session_gone' });

    await eventually(() => expect(tokenRequests).toHaveLength(1));

    await meeting.leave();
    const joining = meeting.join();

    await eventually(() => expect(tokenRequests).toHaveLength(2));

    tokenRequests[1]?.resolve('token-2');
    await joining;
    tokenRequests[0]?.resolve('token-1');
    await over;

    expect(edge.requests('join').map(({ token }) => token)).toEqual(['token-2']);
    expect([...meeting.getSnapshot().room.peers.keys()]).toEqual(['self', 'ben']);
    expect(phase(meeting)).toBe('joined');
  });
});
