import type { ErrorCode } from '@plenary/cluster/errors';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { eventually } from './testing/eventually.ts';
import { chatEvent } from './testing/fixtures.ts';
import { EDGE_A, EDGE_B, audioTrack, meet, phase, sessionReply } from './testing/meet.ts';
import { NO_ANSWER, ScriptedEdge, refuse, type ScriptedSocket } from './testing/scripted-edge.ts';
import type { ConnectionPhase, Meeting } from './index.ts';

const EDGE_C = 'http://edge-c.test:3000';

afterEach(() => vi.restoreAllMocks());

interface Scene {
  readonly edge: ScriptedEdge;
  readonly meeting: Meeting;
  /** The connection to the draining edge. */
  readonly first: ScriptedSocket;
  readonly phases: ConnectionPhase[];
}

/** A meeting that was joined on an edge which will drain. */
async function joined(edges = [EDGE_A, EDGE_B]): Promise<Scene> {
  const edge = new ScriptedEdge();
  edge.edges = edges;
  const meeting = meet(edge);
  await meeting.publish('microphone', audioTrack());
  await meeting.join();
  await eventually(() => expect(meeting.getSnapshot().localTracks.get('microphone')?.status).toBe('live'));
  const phases: ConnectionPhase[] = [];
  meeting.subscribe(() => phases.push(meeting.getSnapshot().connection.phase));
  return { edge, meeting, first: edge.socket, phases };
}

/** Holds an edge's reply to a resume until the test resolves or rejects it. */
function answerLater(edge: ScriptedEdge, url: string): (refusal?: ErrorCode) => void {
  const { promise, resolve } = Promise.withResolvers<ErrorCode | undefined>();
  edge.on.resume = async () => {
    const refusal = await promise;
    if (refusal !== undefined) refuse(refusal);
    return {
      session: sessionReply(edge, url),
      catchUp: { type: 'events', events: [] },
      mediaAlive: true,
    };
  };
  return resolve;
}

const edgeInUse = (meeting: Meeting): unknown => meeting.getSnapshot().connection;
const chats = (edge: ScriptedEdge): readonly string[] =>
  edge.received.filter(({ name }) => name === 'chat.post').map(({ url }) => url);

describe('an edge that drains', () => {
  test('[DR5] is replaced by another edge while its connection still works, and the screen shows no interruption', async () => {
    const { edge, meeting, first, phases } = await joined();
    edge.on.resume = ({ lastEventId }) => ({
      session: sessionReply(edge, EDGE_B),
      catchUp: { type: 'events', events: [chatEvent('101-0', lastEventId, 'missed')] },
      mediaAlive: true,
    });
    first.notify('edge.leaving', {});
    first.notify('edge.leaving', {});

    await eventually(() => expect(edgeInUse(meeting)).toEqual({ phase: 'joined', edgeUrl: EDGE_B }));
    expect(first.closed).toBe(true);
    expect(edge.sockets.map(({ url }) => url)).toEqual([EDGE_A, EDGE_B]);
    expect(phases.filter((one) => one !== 'joined')).toEqual([]);
    expect(meeting.counters).toMatchObject({ handedOver: 1, reconnects: 0, timedOut: 0, mediaReopened: 0 });
    expect(meeting.getSnapshot().room.chat.map(({ text }) => text)).toEqual(['missed']);
    expect(edge.requests('join')).toHaveLength(1);
    expect(edge.requests('track.publish')).toHaveLength(1);
  });

  test('[DR5] [DR20] answers the requests that it already has; requests sent during the handover wait and go to the next edge once', async () => {
    const { edge, meeting, first } = await joined();
    const answered = Promise.withResolvers<void>();
    edge.on['track.pause'] = async () => {
      await answered.promise;
      return {};
    };
    const resume = answerLater(edge, EDGE_B);
    meeting.setMuted('microphone', true);
    first.notify('edge.leaving', {});

    await eventually(() => expect(edge.sockets).toHaveLength(2));

    meeting.postChat('while it owes an answer');

    await eventually(() => expect(meeting.getSnapshot().outbox).toMatchObject([{ status: 'sent' }]));
    expect([chats(edge), edge.requests('resume')]).toEqual([[EDGE_A], []]);

    answered.resolve();

    await eventually(() => expect(edge.requests('resume')).toHaveLength(1));

    meeting.postChat('while it is resumed');
    meeting.unpublish('microphone');

    expect(chats(edge)).toEqual([EDGE_A]);

    // The draining edge may learn of the resume before this client does.
    first.notify('bye', { code: 'replaced', message: '', retryable: false });
    first.drop();

    expect(phase(meeting)).toBe('joined');

    resume();

    await eventually(() => expect(edgeInUse(meeting)).toEqual({ phase: 'joined', edgeUrl: EDGE_B }));
    await eventually(() =>
      expect(meeting.getSnapshot().outbox.every(({ status }) => status === 'sent')).toBe(true),
    );
    expect(chats(edge)).toEqual([EDGE_A, EDGE_B]);
    expect(edge.requests('track.pause')).toHaveLength(1);
    expect(edge.requests('track.end')).toHaveLength(1);
    expect(meeting.counters).toMatchObject({ handedOver: 1, reconnects: 0, timedOut: 0 });
  });

  test('[DR5] is left even if one of its requests stays unanswered', async () => {
    const { edge, meeting, first } = await joined();
    edge.on['track.pause'] = (_payload, socket) => (socket === first ? NO_ANSWER : {});
    meeting.setMuted('microphone', true);
    first.notify('edge.leaving', {});

    await eventually(() => expect(meeting.counters.handedOver).toBe(1));
    expect(meeting.counters.reconnects).toBe(0);
  });

  test('[DR5] [DR20] goes on serving when the next edge refuses: it gets the waiting requests, and a third edge is tried', async () => {
    const { edge, meeting, first, phases } = await joined([EDGE_A, EDGE_B, EDGE_C]);
    const refuseNow = answerLater(edge, EDGE_B);
    first.notify('edge.leaving', {});

    await eventually(() => expect(edge.requests('resume')).toHaveLength(1));

    const [, second] = edge.sockets;
    meeting.postChat('waits');

    expect(chats(edge)).toEqual([]);

    refuseNow('shutting_down');

    await eventually(() => expect(chats(edge)).toEqual([EDGE_A]));
    expect([first.closed, second?.closed]).toEqual([false, true]);

    edge.on.resume = undefined;

    await eventually(() => expect(meeting.counters.handedOver).toBe(1));
    expect(new Set(edge.sockets.map(({ url }) => url)).size).toBe(3);
    expect([first.closed, edge.socket.closed]).toEqual([true, false]);
    expect(chats(edge)).toEqual([EDGE_A]);
    expect(phases.filter((one) => one !== 'joined')).toEqual([]);
  });

  test('[DR5] goes on serving while no other edge answers, until its connection ends', async () => {
    const { edge, meeting, first } = await joined();
    edge.dead.add(EDGE_B);
    first.notify('edge.leaving', {});

    await eventually(() => expect(edge.sockets.length).toBeGreaterThan(1));
    await eventually(() => expect(edge.socket.closed).toBe(true));

    meeting.setMuted('microphone', true);

    await eventually(() => expect(edge.received.at(-1)).toMatchObject({ name: 'track.pause', url: EDGE_A }));
    expect(phase(meeting)).toBe('joined');

    edge.dead.delete(EDGE_B);
    first.notify('bye', { code: 'shutting_down', message: '', retryable: true });

    expect(phase(meeting)).toBe('reconnecting');
    await eventually(() => expect(edgeInUse(meeting)).toEqual({ phase: 'joined', edgeUrl: EDGE_B }));
    expect(meeting.counters).toMatchObject({ handedOver: 0, reconnects: 1 });
  });

  test('[DR5] whose connection breaks while another edge refuses is handled as a lost edge', async () => {
    const { edge, meeting, first } = await joined();
    const refuseNow = answerLater(edge, EDGE_B);
    first.notify('edge.leaving', {});

    await eventually(() => expect(edge.requests('resume')).toHaveLength(1));

    first.drop();

    expect(phase(meeting)).toBe('joined');

    refuseNow('shutting_down');

    await eventually(() => expect(phase(meeting)).toBe('reconnecting'));

    edge.on.resume = undefined;

    await eventually(() => expect(phase(meeting)).toBe('joined'));
    expect(meeting.counters).toMatchObject({ handedOver: 0, reconnects: 1 });
  });

  test('[DR5] does not end the meeting when an edge that never answered has resumed the session', async () => {
    const { edge, meeting, first } = await joined();
    edge.on.resume = () => NO_ANSWER;
    first.notify('edge.leaving', {});

    await eventually(() => expect(edge.requests('resume')).toHaveLength(1));

    meeting.postChat('waits');

    await eventually(() => expect(chats(edge)).toEqual([EDGE_A]));
    expect(phase(meeting)).toBe('joined');

    edge.on.resume = undefined;
    first.notify('bye', { code: 'replaced', message: '', retryable: false });

    // A further request without a reply is allowed.
    await eventually(() => expect(edgeInUse(meeting)).toEqual({ phase: 'joined', edgeUrl: EDGE_B }));
    expect(edge.requests('join')).toHaveLength(1);
  });

  test('[DR5] gets the leave request at once, before the requests that wait for the next edge', async () => {
    const { edge, meeting, first } = await joined();
    answerLater(edge, EDGE_B);
    first.notify('edge.leaving', {});

    await eventually(() => expect(edge.requests('resume')).toHaveLength(1));

    await meeting.leave();

    expect(edge.received.at(-1)).toMatchObject({ name: 'leave', url: EDGE_A });
    expect(phase(meeting)).toBe('left');
    expect(edge.sockets.every(({ closed }) => closed)).toBe(true);
  });

  test('[DR5] whose URL is shared by other edges is replaced through the same URL', async () => {
    const { edge, meeting, first } = await joined([EDGE_A, EDGE_A]);
    first.notify('edge.leaving', {});

    await eventually(() => expect(meeting.counters.handedOver).toBe(1));
    expect(edge.sockets.map(({ url, closed }) => [url, closed])).toEqual([
      [EDGE_A, true],
      [EDGE_A, false],
    ]);
  });

  test('[DR5] that announces its drain before it answers the join is left after the join', async () => {
    const edge = new ScriptedEdge();
    edge.edges = [EDGE_A, EDGE_B];
    const answer = Promise.withResolvers<void>();
    edge.on.join = async () => {
      await answer.promise;
      return {
        session: sessionReply(edge, EDGE_A),
        room: edge.room,
        media: edge.media(),
      };
    };
    const meeting = meet(edge);
    const joining = meeting.join();

    await eventually(() => expect(edge.requests('join')).toHaveLength(1));

    edge.socket.notify('edge.leaving', {});
    answer.resolve();
    await joining;

    await eventually(() => expect(edgeInUse(meeting)).toEqual({ phase: 'joined', edgeUrl: EDGE_B }));
    expect(meeting.counters.handedOver).toBe(1);
  });
});
