import { DATACENTER_ID, ROOM_NAME } from '@plenary/cluster/protocol';
import { describe, expect, test } from 'vitest';
import { errorForPeople } from '../client/index.ts';
import { chatPieces } from './chat-text.ts';
import { deviceProblem } from './device-problems.ts';
import { GRID_GAP_PX, gridCapacity, layoutGrid } from './layout-grid.ts';
import {
  bannerText,
  explainProblem,
  explainProblems,
  explainBadName,
  explainRoomName,
  explainUnpublished,
  stillTryingText,
} from './notices.ts';
import { randomRoomName, readTypedRoom } from './room-names.ts';
import { hasNewToken, hasAddress, parseRoute } from './route.ts';
import { arrange, hueOf, initials, pageOf, type Tile } from './tiles.ts';
import { TokenSource } from './token-source.ts';
import { peerOf } from '../client/testing/fixtures.ts';

describe('layoutGrid', () => {
  const sizes = [
    [1_440, 780],
    [360, 600],
    [800, 300],
  ] as const;
  for (const [width, height] of sizes) {
    test.each([1, 2, 3, 4, 5, 7, 9, 12, 25])(`%d tiles fit into ${width} × ${height}`, (count) => {
      const { columns, rows, tileWidth, tileHeight } = layoutGrid(count, width, height);

      expect(columns * rows).toBeGreaterThanOrEqual(count);
      expect(columns * tileWidth + (columns - 1) * GRID_GAP_PX).toBeLessThanOrEqual(width);
      expect(rows * tileHeight + (rows - 1) * GRID_GAP_PX).toBeLessThanOrEqual(height);
      expect(tileWidth / tileHeight).toBeLessThan(1.8);
    });
  }

  test('two people stand side by side on a desktop and one above the other on a phone', () => {
    expect(layoutGrid(2, 1_440, 780)).toMatchObject({ columns: 2, rows: 1 });
    expect(layoutGrid(2, 360, 600)).toMatchObject({ columns: 1, rows: 2 });
  });

  test('no area gives no tile, and no people give no error', () => {
    expect(layoutGrid(4, 0, 0)).toMatchObject({ tileWidth: 0, tileHeight: 0 });
    expect(layoutGrid(0, 800, 600).tileWidth).toBeGreaterThan(0);
  });

  test('a page holds as many tiles as stay readable', () => {
    expect(gridCapacity(1_440, 780)).toBe(25);
    expect(gridCapacity(360, 600)).toBeLessThanOrEqual(10);
    expect(gridCapacity(10, 10)).toBe(1);
  });
});

test('[WB13] a page without https says once what the browser withholds, and what to do', () => {
  const both = ['camera', 'microphone'] as const;
  const [told, ...more] = explainProblems(both.map((kind) => ({ kind, problem: 'insecure' as const })));

  expect(more).toEqual([]);
  expect(told?.text).toMatch(/neither microphone nor camera.*watch.*https:/);
  expect(explainProblems(both.map((kind) => ({ kind, problem: 'denied' as const })))).toHaveLength(2);
});

test('[RJ11] an address that is pasted over the page’s own takes effect if it has another token', () => {
  const route = (path: string) => parseRoute(new URL(path, 'http://h'));
  const bare = route('/r/a');
  const mine = route('/r/a#token=mine');

  expect(hasNewToken(bare, mine)).toBe(true);
  expect(hasNewToken(mine, route('/r/a#token=yours'))).toBe(true);
  expect(hasNewToken(mine, mine)).toBe(false);
  // An address without a token does not remove the current one.
  expect(hasNewToken(mine, bare)).toBe(false);
  expect(hasNewToken(bare, route('/r/a#top'))).toBe(false);
  expect(hasNewToken(route('/'), route('/#token=mine'))).toBe(false);
});

describe('tiles', () => {
  const tile = (key: string, change: Partial<Tile> = {}): Tile => ({
    key,
    peerId: peerOf(key).peerId,
    name: key,
    source: 'camera',
    isSelf: false,
    trackId: undefined,
    video: undefined,
    waiting: false,
    trouble: undefined,
    micMuted: false,
    speaking: false,
    ...change,
  });
  const keys = (tiles: readonly Tile[]): string[] => tiles.map(({ key }) => key);

  test('a screen takes the stage, the user’s own only without another one', () => {
    const own = tile('own', { source: 'screen', isSelf: true });
    const other = tile('other', { source: 'screen' });

    expect(arrange([own, other, tile('a')]).stage?.key).toBe('other');
    expect(keys(arrange([own, tile('a')]).rest)).toEqual(['a']);
    expect(arrange([tile('a')]).stage).toBeUndefined();
  });

  test('speakers move to the first page, and no tile is lost', () => {
    const tiles = [tile('a'), tile('b'), tile('c'), tile('d', { speaking: true }), tile('e')];

    expect(keys(pageOf(tiles, 2, 0))).toEqual(['a', 'd']);

    const all = [0, 1, 2].flatMap((page) => keys(pageOf(tiles, 2, page)));

    expect(all.toSorted()).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  test.each([
    ['Ada Lovelace', 'AL'],
    ['ada', 'A'],
    ['  Jean  Luc  Picard ', 'JP'],
    ['李 小龙', '李小'],
    ['', ''],
  ])('initials of %s', (name, expected) => {
    expect(initials(name)).toBe(expected);
  });

  test('similar ids have different hues', () => {
    expect(Math.abs(hueOf('p1') - hueOf('p2'))).toBeGreaterThan(20);
  });
});

describe('chatPieces', () => {
  test('only http and https links are links, without the punctuation of the sentence', () => {
    expect(chatPieces('See https://example.org/a?b=1, and (http://x.test).')).toEqual([
      { type: 'text', text: 'See ' },
      { type: 'link', text: 'https://example.org/a?b=1', href: 'https://example.org/a?b=1' },
      { type: 'text', text: ', and (' },
      { type: 'link', text: 'http://x.test', href: 'http://x.test/' },
      { type: 'text', text: ').' },
    ]);
  });

  test.each(['javascript:alert(1)', 'data:text/html,x', '<img src=x onerror=alert(1)>', 'no link'])(
    '%s stays text',
    (text) => {
      expect(chatPieces(text)).toEqual([{ type: 'text', text }]);
    },
  );
});

describe('notices', () => {
  const joined = { phase: 'joined', edgeUrl: 'http://e' } as const;
  const reconnecting = { phase: 'reconnecting', attempt: 0, reason: 'r' } as const;

  test('[WB7] the banner says that sound and video arrive only if they do', () => {
    expect(bannerText({ connection: joined, media: 'connected', flow: 'silent' })).toBeUndefined();
    expect(bannerText({ connection: joined, media: 'connected', flow: 'lost' })).toContain('Nothing arrives');
    expect(bannerText({ connection: joined, media: 'reconnecting', flow: 'unknown' })).toContain(
      'Nothing arrives',
    );

    for (const connection of [joined, reconnecting]) {
      const text = bannerText({ connection, media: 'reconnecting', flow: 'arriving' });
      expect(text).toMatch(/Sound and picture arrive, but the others may not see or hear you/);
      expect(text).not.toContain('Nothing arrives');
    }
    const whileReconnecting = (['arriving', 'silent', 'lost', 'unknown'] as const).map((flow) =>
      bannerText({ connection: reconnecting, media: 'connected', flow }),
    );

    expect(whileReconnecting.map((text) => text?.includes('Sound and picture arrive'))).toEqual([
      true,
      false,
      false,
      false,
    ]);
    expect(whileReconnecting[1]).toContain('Nothing arrives');
    expect(whileReconnecting[3]).not.toContain('arrive');
  });

  test('[AD2] in a network that blocks the transports the banner says so, and what to do', () => {
    const joined = { phase: 'joined', edgeUrl: 'http://edge.test' } as const;

    expect(bannerText({ connection: joined, media: 'blocked', flow: 'unknown' })).toMatch(
      /network .*block.* Try another network/,
    );
    expect(bannerText({ connection: joined, media: 'connecting', flow: 'unknown' })).toBeUndefined();
  });

  test('[WB45] a waiting join shows why it waits', () => {
    const lastError = { code: 'no_media_node', message: '', retryable: true } as const;

    expect(stillTryingText({ connection: { phase: 'joining', attempt: 2, lastError } })).toContain('busy');
    expect(stillTryingText({ connection: { phase: 'connecting', attempt: 0 } })).toBe('');
  });

  test('[WB24] a source that is not sent is named in words for the user who pressed the button', () => {
    expect(explainUnpublished('microphone', 'forbidden')).toMatch(/nobody hears you.*may not/i);
    expect(explainUnpublished('camera', 'internal')).not.toContain('server');
  });
});

describe('addresses and names', () => {
  const typed = (text: string): string => {
    const read = readTypedRoom(text, new URL('https://meet.test/'));
    if (read.type === 'room') return read.path;
    expect(explainRoomName(read)).not.toBe('');
    return read.type;
  };

  test('paths are parsed as routes', () => {
    expect(parseRoute(new URL('http://h/'))).toEqual({ page: 'landing' });
    expect(parseRoute(new URL('http://h/r/my-room?dc=sbg#token=abc'))).toEqual({
      page: 'room',
      roomId: ROOM_NAME.parse('my-room'),
      datacenter: DATACENTER_ID.parse('sbg'),
      token: 'abc',
    });
    expect(parseRoute(new URL('http://h/r/a?token=q#token=f'))).toMatchObject({ token: 'f' });
    expect(parseRoute(new URL('http://h/r/a%20b'))).toEqual({ page: 'bad-room', name: 'a b' });
    expect(parseRoute(new URL('http://h/r/%E0%A4%A'))).toMatchObject({ page: 'bad-room' });
    for (const path of ['/r', '/r/', '/index.html'])
      expect(parseRoute(new URL(path, 'http://h'))).toEqual({ page: 'landing' });
  });

  test('[WB48] an address that names no room gives the reason', () => {
    expect(parseRoute(new URL('http://h/r/team/extra'))).toEqual({ page: 'bad-room', name: 'team/extra' });
    expect(parseRoute(new URL('http://h/r/team//'))).toMatchObject({ page: 'room', roomId: 'team' });

    const explanation = (name: string): string => explainBadName(name);

    expect(explanation('a'.repeat(65))).toMatch(/^“a{40}…” is too long.* up to 64 /);
    expect(explanation('a b')).toBe(
      '“a b” cannot be the name of a meeting. Use letters, digits, “-” and “_”.',
    );
    // Control characters of the name must not reverse the sentence.
    expect(explanation('\u202eno\u0000')).toBe(
      '“no” cannot be the name of a meeting. Use letters, digits, “-” and “_”.',
    );
  });

  test('room names are normalised', () => {
    expect(typed(' Café Team  Weekly! ')).toBe('/r/cafe-team-weekly');
    expect(typed('Größe 5')).toBe('/r/grosse-5');
    expect(typed(randomRoomName())).toMatch(/^\/r\/[a-z]+-/);
    expect(randomRoomName(() => 0.999_999)).toMatch(/^[a-z]+-[a-z]+-\d{4}$/);
  });

  test('[WB10] [WB46] names that differ only in case are one room, except those of an application', () => {
    expect(parseRoute(new URL('http://h/r/TEAM/'))).toMatchObject({ roomId: 'team' });
    expect(typed('TEAM')).toBe('/r/team');
    expect(parseRoute(new URL('http://h/r/TEAM#token=abc'))).toMatchObject({ roomId: 'TEAM' });
  });

  test.each(['team%20', '%20Team', 'ｔｅａｍ', 'team%E2%80%8B', '%EF%BB%BFteam'])(
    '[WB47] the address /r/%s is that of the room team',
    (name) => {
      expect(parseRoute(new URL(`http://h/r/${name}`))).toMatchObject({ roomId: 'team' });
    },
  );

  test('[WB46] a link to a room is shown only if it leads to that room', () => {
    expect(hasAddress(ROOM_NAME.parse('team-1'))).toBe(true);
    expect(hasAddress(ROOM_NAME.parse('Team'))).toBe(false);
  });

  test.each([
    ['https://meet.test/r/Team?dc=gra#x=1', '/r/team?dc=gra#x=1'],
    ['https://meet.test/r/Team#token=abc', '/r/Team#token=abc'],
    ['meet.test/r/team', '/r/team'],
    ['/r/team', '/r/team'],
    ['https://meet.test/', 'no-meeting'],
    ['https://meet.test/r/a%20b', '/r/a-b'],
    ['https://other.test/r/team', 'other-site'],
    ['http://localhost:3000/r/team', 'other-site'],
    ['zoommtg://other.test/join', 'other-site'],
    ['日本 team', 'letters'],
    ['!!!', 'empty'],
    ['a'.repeat(65), 'too-long'],
    ['v1.5 review', '/r/v1-5-review'],
    ['and/or', '/r/and-or'],
    ['For/you', '/r/for-you'],
    ['10:30/11:00', '/r/10-30-11-00'],
    ['v12.5/3', '/r/v12-5-3'],
    ['intranet:8080/r/team', 'other-site'],
    ['192.0.2.7/r/team', 'other-site'],
    ['team%20weekly', '/r/team-weekly'],
    ['caf%C3%A9', '/r/cafe'],
    ['50% off', '/r/50-off'],
    ['%E0%A4%A', 'letters'],
    ['https://meet.test/r/%E0%A4%A', 'letters'],
    ['https:/meet.test/r/team#token=abc', '/r/team#token=abc'],
    ['https:meet.test/r/team', '/r/team'],
    ['https:\\\\meet.test\\r\\team', '/r/team'],
    ['https: the basics', '/r/https-the-basics'],
    ['https://meet.test/R/Team/', '/r/team'],
    ['Müller/Meier', '/r/muller-meier'],
    ['Join us: https://meet.test/r/team, at ten', '/r/team'],
    ['<https://meet.test/r/team>', '/r/team'],
    ['(see meet.test/r/team)', '/r/team'],
    ['\u200ehttps://meet.test/r/team\u200b', '/r/team'],
    ['\ufeffTeam', '/r/team'],
    ['https%3A%2F%2Fmeet.test%2Fr%2Fteam', '/r/team'],
    ['HTTPS://MEET.TEST/r/TEAM', '/r/team'],
    ['//meet.test/r/team', '/r/team'],
    ['r/team', '/r/team'],
    ['Topic: weekly. Link: https://zoom.test/j/123?pwd=x', 'other-site'],
    ['intranet/r/team', 'other-site'],
    ['https://meet.test/app/r/team', 'no-meeting'],
    ['ｔｅａｍ', '/r/team'],
    ['cafe\u0301', '/r/cafe'],
    ['caf\u00e9', '/r/cafe'],
  ])('[WB10] [WB47] %s is read as %s', (text, expected) => {
    expect(typed(text)).toBe(expected);
  });

  test('each device problem has a text of its own', () => {
    const named = (name: string): Error => Object.assign(new Error('x'), { name });

    expect(
      ['NotAllowedError', 'NotFoundError', 'NotReadableError', 'Odd'].map((name) =>
        deviceProblem(named(name)),
      ),
    ).toEqual(['denied', 'none', 'in-use', 'unknown']);

    const bySystem = Object.assign(new Error('Permission denied by system'), { name: 'NotAllowedError' });

    expect(deviceProblem(bySystem)).toBe('denied-by-system');
    expect(explainProblem('camera', 'in-use')).toContain('camera');

    // Chromium's message for getDisplayMedia.
    const byPolicy = new DOMException(
      'Access to the feature "display-capture" is disallowed by permissions policy.',
      'NotAllowedError',
    );

    expect(deviceProblem(byPolicy, 'unknown')).toBe('denied-by-page');

    const denied = named('NotAllowedError');

    expect(deviceProblem(denied, 'forbidden')).toBe('denied-by-page');
    expect(deviceProblem(denied, 'unknown')).toBe('denied-in-frame');
    expect(deviceProblem(denied, 'allowed')).toBe('denied');
    expect(deviceProblem(named('NotFoundError'), 'forbidden')).toBe('none');
    expect(errorForPeople('room_full').title).toContain('full');
  });

  test('[WB57] the texts for screen problems fit screens', () => {
    const problems = [
      'denied',
      'denied-by-system',
      'denied-by-page',
      'denied-in-frame',
      'none',
      'in-use',
      'insecure',
      'unsupported',
      'gone',
      'silenced',
      'unknown',
    ] as const;
    for (const problem of problems) {
      const text = explainProblem('screen', problem);
      expect(text).not.toMatch(/plug|another program|nobody sees you|switch/i);
      expect(text).toMatch(/screen/);
      for (const kind of ['camera', 'microphone'] as const)
        expect(explainProblem(kind, problem)).toContain(kind);
    }
  });
});

describe('TokenSource', () => {
  const request = { roomId: ROOM_NAME.parse('room'), datacenter: undefined };
  const answering = (answers: (() => Response)[]): { asked: string[]; fetch: typeof fetch } => {
    const asked: string[] = [];
    return {
      asked,
      fetch: (_input, init) => {
        asked.push(typeof init?.body === 'string' ? init.body : '');
        const answer = answers[Math.min(asked.length, answers.length) - 1];
        return answer === undefined ? Promise.reject(new TypeError('offline')) : Promise.resolve(answer());
      },
    };
  };
  const granted = (): Response =>
    Response.json({ token: 'jwt', edges: [{ edgeId: 'e1', datacenter: 'gra', url: 'http://e1:3000' }] });

  test('a prefetched token is used for the same name, and not for another', async () => {
    const { asked, fetch } = answering([granted]);
    const source = new TokenSource(request, fetch);
    source.prefetch('Ada');

    expect(await source.get('Ada', { fresh: false })).toMatchObject({
      token: 'jwt',
      edgeUrls: ['http://e1:3000'],
    });
    expect(asked).toHaveLength(1);

    await source.get('Ben', { fresh: false });
    await source.get('Ben', { fresh: true });

    expect(asked).toHaveLength(3);
  });

  test('a refusal is passed on as the edge’s error and is not cached', async () => {
    const refused = (): Response =>
      Response.json({ error: { code: 'store_unavailable', message: 'm', retryable: true } }, { status: 503 });
    const source = new TokenSource(request, answering([refused, granted]).fetch);

    await expect(source.get('Ada', { fresh: false })).rejects.toMatchObject({
      code: 'store_unavailable',
      retryable: true,
    });
    await expect(source.get('Ada', { fresh: false })).resolves.toMatchObject({ token: 'jwt' });
  });

  test.each([
    ['a proxy without an edge', new Response('<h1>Bad Gateway</h1>', { status: 502 }), 'timed_out'],
    [
      'a proxy that is asked too often',
      Response.json({ message: 'slow down' }, { status: 429 }),
      'rate_limited',
    ],
    ...[400, 403, 404, 408, 425].map(
      (status) =>
        [`a proxy that says ${status}`, new Response('<h1>No</h1>', { status }), 'timed_out'] as const,
    ),
    [
      'a proxy that says in JSON that there is no edge',
      Response.json({ error: 'not found' }, { status: 404 }),
      'timed_out',
    ],
    ['a page to sign in to a network', new Response('<h1>Welcome</h1>'), 'timed_out'],
    ['a fault', new Response('oops', { status: 500 }), 'timed_out'],
  ] as const)('[RJ24] %s in the place of the edge is told as what it is', async (_what, answer, code) => {
    const source = new TokenSource(request, answering([() => answer]).fetch);
    await expect(source.get('Ada', { fresh: false })).rejects.toMatchObject({ code });
  });

  test('[RJ9] an error that the edge marks as final is final', async () => {
    const refused = (): Response =>
      Response.json(
        { error: { code: 'guests_not_allowed', message: 'm', retryable: false } },
        { status: 403 },
      );
    const source = new TokenSource(request, answering([refused]).fetch);

    await expect(source.get('Ada', { fresh: false })).rejects.toMatchObject({
      code: 'guests_not_allowed',
      retryable: false,
    });
  });

  test('a failed fetch gives `timed_out`, and a malformed answer `malformed_message`', async () => {
    await expect(
      new TokenSource(request, answering([]).fetch).get('Ada', { fresh: false }),
    ).rejects.toMatchObject({ code: 'timed_out' });

    const nonsense = answering([() => Response.json({ hello: 1 })]);

    await expect(new TokenSource(request, nonsense.fetch).get('Ada', { fresh: false })).rejects.toMatchObject(
      { code: 'malformed_message' },
    );
  });
});
