import { PEER_ID, REQUEST_ID } from '@plenary/cluster/protocol';
import { afterEach, expect, test, vi } from 'vitest';
import { chatMessageId } from './chat-message-id.ts';
import { RESEND_WITHIN_MS } from './chat-outbox.ts';
import { eventually } from './testing/eventually.ts';
import { sessionOf, snapshotOf } from './testing/fixtures.ts';
import { meet } from './testing/meet.ts';
import { NO_ANSWER, ScriptedEdge, refuse } from './testing/scripted-edge.ts';

afterEach(() => vi.restoreAllMocks());

test('[LG12] the client computes the same message id as the edge', () => {
  const peerId = PEER_ID.parse('ann');
  expect(chatMessageId(peerId, REQUEST_ID.parse('m-1'))).toBe('dPiRTFTFjMs56qaowiZTr7');
});

test('[LG12] after a rejoin, an unanswered message that the room has is not posted again, and one that it lacks is', async () => {
  const edge = new ScriptedEdge();
  edge.on['chat.post'] = () => NO_ANSWER;
  const meeting = meet(edge, { getToken: () => Promise.resolve('token') });
  await meeting.join();

  meeting.postChat('arrived');
  meeting.postChat('lost');

  await eventually(() => expect(edge.requests('chat.post')).toHaveLength(2));

  const [arrived] = edge.requests('chat.post');
  if (arrived === undefined) throw new Error('it was posted');
  const peerId = PEER_ID.parse('self');
  const message = {
    messageId: chatMessageId(peerId, arrived.requestId),
    peerId,
    displayName: 'Ada',
    text: 'arrived',
    sentAtMs: 1_000,
  };
  edge.room = { ...snapshotOf({ lastEventId: '200-0' }), chat: [message] };
  edge.on = {
    resume: () => refuse('session_gone'),
    join: (_payload, socket) => ({
      session: { ...sessionOf([socket.url]), peerId: 'self-2' },
      room: edge.room,
      media: edge.media(),
    }),
  };
  edge.socket.drop();

  await eventually(() => expect(edge.requests('chat.post')).toHaveLength(3));
  expect(edge.requests('chat.post').at(-1)).toMatchObject({ text: 'lost' });
  await eventually(() =>
    expect(meeting.getSnapshot().outbox).toMatchObject([{ text: 'lost', status: 'sent' }]),
  );
});

test.each(['timed_out', 'store_unavailable'] as const)(
  '[WB12] [WB53] a message that failed (%s) before the user left is not sent at a later join, only when the user retries it',
  async (code) => {
    const edge = new ScriptedEdge();
    edge.on['chat.post'] = () => refuse(code);
    const meeting = meet(edge, { getToken: () => Promise.resolve('token') });
    await meeting.join();

    meeting.postChat('for those who were there');

    await eventually(() => expect(meeting.getSnapshot().outbox).toMatchObject([{ status: 'failed' }]));

    await meeting.leave();
    edge.on = {};
    await meeting.join();

    meeting.postChat('for those who are here');

    await eventually(() =>
      expect(meeting.getSnapshot().outbox).toMatchObject([{ status: 'failed' }, { status: 'sent' }]),
    );

    const texts = (): string[] => edge.requests('chat.post').map(({ text }) => text);
    const before = texts().filter((text) => text === 'for those who were there').length;
    const [unsent] = meeting.getSnapshot().outbox;
    if (unsent === undefined) throw new Error('it is shown as not sent');
    meeting.retryChat(unsent.requestId);

    await eventually(() =>
      expect(meeting.getSnapshot().outbox).toMatchObject([{ status: 'sent' }, { status: 'sent' }]),
    );
    expect(texts().filter((text) => text === 'for those who were there')).toHaveLength(before + 1);
  },
);

test('[WB53] a message that was pending when the user left is not sent at a later join', async () => {
  const edge = new ScriptedEdge();
  edge.on['chat.post'] = () => NO_ANSWER;
  const meeting = meet(edge, { getToken: () => Promise.resolve('token') });
  await meeting.join();

  meeting.postChat('on its way');

  await eventually(() => expect(edge.requests('chat.post')).toHaveLength(1));

  await meeting.leave();
  await meeting.join();

  await eventually(() => expect(meeting.getSnapshot().outbox).toMatchObject([{ status: 'failed' }]));
  expect(edge.requests('chat.post')).toHaveLength(1);
});

test('[WB52] a message that an outage delayed by more than a minute waits until the user retries it', async () => {
  const edge = new ScriptedEdge();
  edge.on['chat.post'] = () => NO_ANSWER;
  const meeting = meet(edge);
  await meeting.join();

  meeting.postChat('a while ago');

  await eventually(() => expect(edge.requests('chat.post')).toHaveLength(1));

  const sentAtMs = Date.now();
  edge.on = {};
  vi.spyOn(Date, 'now').mockReturnValue(sentAtMs + RESEND_WITHIN_MS + 1);
  edge.socket.drop();

  await eventually(() => expect(edge.requests('resume')).toHaveLength(1));
  await eventually(() => expect(meeting.getSnapshot().connection.phase).toBe('joined'));

  meeting.postChat('now');

  await eventually(() =>
    expect(meeting.getSnapshot().outbox).toMatchObject([
      { text: 'a while ago', status: 'failed' },
      { text: 'now', status: 'sent' },
    ]),
  );
});
