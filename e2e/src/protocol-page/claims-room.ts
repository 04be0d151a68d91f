import { askingEach, each } from './claim.ts';
import type { Claim } from './claim.ts';
import { fields, isNewer, list } from './page-client.ts';
import type { Strangers } from './stranger.ts';

const MALFORMED = 'malformed_message';
let post = 0;
const message = (text: unknown): unknown => ({ requestId: `m-${(post += 1)}`, text });

export const ROOM_CLAIMS: readonly Claim[] = [
  {
    sentence: 'the previousId of a room’s first event is 0-0',
    attempt: async (strangers) => {
      const { client, session, room } = await strangers.join();
      const caughtUp = await client.call('sync', { afterEventId: '0-0' });
      const [joined] = list(caughtUp['events']);
      const event = fields(joined?.['event']);
      return [
        joined?.['previousId'],
        joined?.['id'] === room['lastEventId'],
        event['type'],
        fields(event['peer'])['peerId'] === session['peerId'],
      ];
    },
    expected: ['0-0', true, 'peer.joined', true],
  },
  {
    sentence:
      'sync takes an event id, of at most 19 digits in each number, and gives a snapshot for one that the room never had',
    attempt: async (strangers) => {
      const { client, room } = await strangers.join();
      const answers: unknown[] = [];
      for (const afterEventId of ['', '5', 'a-b', '0-0\n', `${'1'.repeat(20)}-0`, `0-${'9'.repeat(20)}`, 5]) {
        answers.push(await client.codeOf('sync', { afterEventId }));
      }
      for (const afterEventId of [room['lastEventId'], '5-5', `${'9'.repeat(19)}-${'9'.repeat(19)}`]) {
        answers.push((await client.call('sync', { afterEventId }))['type']);
      }
      return answers;
    },
    expected: [...Array.from({ length: 7 }, () => MALFORMED), 'events', 'snapshot', 'snapshot'],
  },
  {
    sentence: 'head is sent repeatedly, with the id of the last event',
    attempt: async (strangers) => {
      const { client, room } = await strangers.join();
      await client.until('two of them', () => client.noticesOf('head').length >= 2);
      return client
        .noticesOf('head')
        .map(({ lastEventId }) => isNewer(String(room['lastEventId']), String(lastEventId)));
    },
    expected: { asymmetricMatch: (lags: unknown) => Array.isArray(lags) && lags.every((is) => is === false) },
  },
  {
    sentence: 'a chat message is 1 to 4000 characters, not counting white space at its ends',
    attempt: askingEach(
      'chat.post',
      [
        'x'.repeat(4_000),
        '🎉'.repeat(4_000),
        ` ${'x'.repeat(4_000)}\n`,
        'x'.repeat(4_001),
        '🎉'.repeat(4_001),
        '',
        ' \n ',
        7,
      ].map(message),
    ),
    expected: ['ok', 'ok', 'ok', ...Array.from({ length: 5 }, () => MALFORMED)],
  },
  {
    sentence:
      'a chat message may contain tab and line feed, but no other control characters and no bidirectional overrides',
    attempt: askingEach(
      'chat.post',
      ['a\tb\nc', 'a\u0000b', 'a\u001bb', 'a\u007fb', 'a\u0085b', 'a\u202eb'].map(message),
    ),
    expected: ['ok', ...Array.from({ length: 5 }, () => MALFORMED)],
  },
  {
    sentence: 'a repeat of a chat message gives the first one’s message',
    attempt: async (strangers) => {
      const { client } = await strangers.join();
      const first = await client.call('chat.post', { requestId: 'one', text: 'first' });
      const second = await client.call('chat.post', { requestId: 'one', text: 'second' });
      const { events } = await client.call('sync', { afterEventId: '0-0' });
      return [JSON.stringify(first) === JSON.stringify(second), list(events).length];
    },
    expected: [true, 2],
  },
  {
    sentence: 'a roster cursor is empty or comes from a page',
    attempt: askingEach(
      'roster.page',
      ['', 'x', '1700000000000-bob', '-1', '1e3', ' ', 'x'.repeat(65), 7].map((cursor) => ({ cursor })),
    ),
    expected: ['ok', ...Array.from({ length: 7 }, () => MALFORMED)],
  },
  {
    sentence: 'a page without nextCursor is the last',
    attempt: async (strangers) => {
      const { client, session } = await strangers.join();
      const page = await client.call('roster.page', { cursor: '' });
      return [list(page['peers']).map(({ peerId }) => peerId === session['peerId']), 'nextCursor' in page];
    },
    expected: [[true], false],
  },
  {
    sentence: 'every role posts chat, subscribes, reads the roster and leaves',
    attempt: each(['host', 'moderator', 'speaker', 'viewer'], async (role, strangers: Strangers) => {
      const { client } = await strangers.join({}, { role });
      return [
        await client.codeOf('chat.post', message('hello')),
        await client.codeOf('subscribe', { trackIds: ['t-none'] }),
        await client.codeOf('roster.page', { cursor: '' }),
        await client.codeOf('leave', {}),
      ];
    }),
    expected: Array.from({ length: 4 }, () => ['ok', 'ok', 'ok', 'ok']),
  },
  {
    sentence: 'a session holds what the page lists, with the edges that one may go to',
    attempt: async (strangers) => {
      const { session, room } = await strangers.join();
      return [Object.keys(session).sort(), list(session['edges']).length, Object.keys(room).sort()];
    },
    expected: [
      [
        'displayName',
        'edgeId',
        'edges',
        'openToGuests',
        'peerId',
        'rejoinToken',
        'resumeWithinMs',
        'role',
        'roomId',
        'sessionToken',
      ],
      2,
      ['chat', 'entries', 'lastEventId', 'peerCount', 'peers', 'tracks'],
    ],
  },
];
