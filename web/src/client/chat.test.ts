import { PEER_ID, REQUEST_ID } from '@plenary/cluster/protocol';
import { expect, test } from 'vitest';
import { chatMessageId } from './chat-message-id.ts';
import { eventually } from './testing/eventually.ts';
import { sessionOf, snapshotOf } from './testing/fixtures.ts';
import { meet } from './testing/meet.ts';
import { NO_ANSWER, ScriptedEdge, refuse } from './testing/scripted-edge.ts';

test('[LG5] a client can tell the id of its message', async () => {
  const peerId = PEER_ID.parse('ann');
  expect(await chatMessageId(peerId, REQUEST_ID.parse('m-1'))).toBe('dPiRTFTFjMs56qaowiZTr7');
});

test('[LG5] what was posted without an answer is not posted again by who had to join anew, and what was not is', async () => {
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
    messageId: await chatMessageId(peerId, arrived.requestId),
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
