import { ERROR_CODES, PlenaryError, type ErrorCode } from '@plenary/cluster/errors';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { reactionTo, type EntryKind } from './refusals.ts';
import { eventually } from './testing/eventually.ts';
import { EDGE_A, EDGE_B, meet, phase } from './testing/meet.ts';
import { ScriptedEdge, refuse } from './testing/scripted-edge.ts';

/** Codes of errors that pass, and, in `ELSEWHERE`, of errors that another edge may not have. */
const PASSES: readonly ErrorCode[] = ['rate_limited', 'media_unavailable', 'media_lost', 'stale_epoch'];
const ELSEWHERE: readonly ErrorCode[] = [
  'keys_unavailable',
  'no_media_node',
  'store_unavailable',
  'id_taken',
  'timed_out',
  'shutting_down',
  'internal',
];
const FULL: readonly ErrorCode[] = [
  'room_full',
  'joined_too_often',
  'tenant_limit_reached',
  'token_unavailable',
];
const ENDS_THE_SESSION: readonly ErrorCode[] = [
  'token_invalid',
  'token_expired',
  'token_wrong_room',
  'token_replayed',
  'proof_invalid',
  'session_gone',
  'peer_not_found',
];

const codesBut = (...lists: (readonly ErrorCode[])[]): ErrorCode[] =>
  ERROR_CODES.filter((code) => code !== 'protocol_version' && !lists.flat().includes(code));

/** An edge that refuses with a code once; other edges accept. */
function refuseOnce(edge: ScriptedEdge, request: 'join' | 'resume', code: ErrorCode): void {
  edge.on[request] = () => {
    delete edge.on[request];
    return refuse(code);
  };
}

const urlsOf = (edge: ScriptedEdge, name: string): string[] =>
  edge.received.filter((message) => message.name === name).map(({ url }) => url);

describe('a refusal', () => {
  beforeEach(() => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  test.each([...PASSES, ...ELSEWHERE])(
    '[RJ9] %s: a join is retried, and the reason is shown',
    async (code) => {
      const edge = new ScriptedEdge();
      refuseOnce(edge, 'join', code);
      const meeting = meet(edge, { edgeUrls: [EDGE_A, EDGE_B] });
      const shown: unknown[] = [];
      meeting.subscribe(() => {
        const { connection } = meeting.getSnapshot();
        if (connection.phase === 'connecting') shown.push(connection.lastError?.code);
      });
      await meeting.join();

      expect(urlsOf(edge, 'join')).toEqual([EDGE_A, ELSEWHERE.includes(code) ? EDGE_B : EDGE_A]);
      expect(shown).toContain(code);
    },
  );

  test.each(codesBut(PASSES, ELSEWHERE))('[RJ31] %s: a join fails at once', async (code) => {
    const edge = new ScriptedEdge();
    refuseOnce(edge, 'join', code);
    const meeting = meet(edge, { edgeUrls: [EDGE_A, EDGE_B] });

    await expect(meeting.join()).rejects.toMatchObject({ code });
    expect(edge.requests('join')).toHaveLength(1);
    expect(meeting.getSnapshot().connection).toMatchObject({ phase: 'failed', error: { code } });

    // "Try again" starts a new join.
    await meeting.join();

    expect(phase(meeting)).toBe('joined');
  });

  test.each([
    ['token_invalid', 'in_future', 60],
    ['token_expired', 'expired', 45],
  ] as const)(
    '[HL48] %s, %s: a join tries the other edges before it fails',
    async (code, reason, seconds) => {
      const refuseForTime = (): never => {
        throw new PlenaryError(code, undefined, { detail: { reason, claim: 'iat', seconds } });
      };
      const edge = new ScriptedEdge();
      edge.on.join = () => {
        delete edge.on.join;
        return refuseForTime();
      };
      await meet(edge, { edgeUrls: [EDGE_A, EDGE_B] }).join();

      expect(urlsOf(edge, 'join')).toEqual([EDGE_A, EDGE_B]);

      const over = new ScriptedEdge();
      over.on.join = refuseForTime;

      await expect(meet(over, { edgeUrls: [EDGE_A, EDGE_B] }).join()).rejects.toMatchObject({ code });
      expect(urlsOf(over, 'join')).toEqual([EDGE_A, EDGE_B]);
    },
  );

  /** A join token that expired this many seconds ago by the local clock. */
  const endedAgo = (seconds: number): string => {
    const claims = { exp: Math.floor(Date.now() / 1_000) - seconds };
    return `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2lnbmF0dXJl`;
  };

  /** The edges that a join tries if each of them answers that its token has expired. */
  async function edgesTried(token: string, seconds: number | undefined): Promise<string[]> {
    const edge = new ScriptedEdge();
    edge.on.join = () => {
      throw new PlenaryError('token_expired', undefined, {
        detail: { reason: 'expired', claim: 'exp', ...(seconds === undefined ? {} : { seconds }) },
      });
    };
    const meeting = meet(edge, { token, edgeUrls: [EDGE_A, EDGE_B] });
    await expect(meeting.join()).rejects.toMatchObject({ code: 'token_expired' });
    return urlsOf(edge, 'join');
  }

  test('[HL49] a link that expired five minutes ago by the local clock fails at once, whatever the edge answers', async () => {
    for (const seconds of [20, 3_600, undefined])
      expect(await edgesTried(endedAgo(310), seconds)).toEqual([EDGE_A]);
  });

  test('[HL48] a link that expired recently or not at all by the local clock is tried at each edge', async () => {
    for (const ago of [290, 40, -600])
      for (const seconds of [20, 86_400])
        expect(await edgesTried(endedAgo(ago), seconds)).toEqual([EDGE_A, EDGE_B]);
  });

  test('[HL48] for a token that the client cannot read, the age that the edge reports decides', async () => {
    for (const token of ['token', 'a.b.c', 'e30.e30.c2ln', 'e30.bnVsbA.c2ln']) {
      expect(await edgesTried(token, 290)).toEqual([EDGE_A, EDGE_B]);
      expect(await edgesTried(token, 310)).toEqual([EDGE_A]);
    }
  });

  test('[HL48] a wrong signature is final, because other clocks cannot change it', () => {
    const bad = { reason: 'bad_signature' } as const;
    expect(reactionTo(new PlenaryError('token_invalid', undefined, { detail: bad }), 'join')).toBe('tell');
  });

  /** A meeting whose connection broke and whose first resume was refused. */
  async function refusedResume(code: ErrorCode, thenJoin?: ErrorCode) {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();
    refuseOnce(edge, 'resume', code);
    if (thenJoin !== undefined) refuseOnce(edge, 'join', thenJoin);
    edge.socket.drop();
    await eventually(() => expect(['joined', 'failed']).toContain(phase(meeting)));
    return { edge, meeting };
  }

  test.each(ENDS_THE_SESSION)('[RJ9] %s: a resume is followed by a join', async (code) => {
    const { edge, meeting } = await refusedResume(code);

    expect(phase(meeting)).toBe('joined');
    expect([edge.requests('resume').length, edge.requests('join').length]).toEqual([1, 2]);
  });

  test.each([...PASSES, ...ELSEWHERE, ...FULL])('[RJ9] %s: a resume is retried', async (code) => {
    const { edge, meeting } = await refusedResume(code);

    expect(phase(meeting)).toBe('joined');
    expect([edge.requests('resume').length, edge.requests('join').length]).toEqual([2, 1]);
  });

  test.each(codesBut(PASSES, ELSEWHERE, FULL, ENDS_THE_SESSION))(
    '[RJ31] %s: a resume fails at once',
    async (code) => {
      const { edge, meeting } = await refusedResume(code);

      expect(meeting.getSnapshot().connection).toMatchObject({ phase: 'failed', error: { code } });
      expect([edge.requests('resume').length, edge.requests('join').length]).toEqual([1, 1]);
    },
  );

  test.each(FULL)('[RJ28] %s: a rejoin waits for a place', async (code) => {
    const { edge, meeting } = await refusedResume('session_gone', code);

    expect(phase(meeting)).toBe('joined');
    expect(edge.requests('join')).toHaveLength(3);
  });

  test('[RJ31] a rejoin without the right to enter fails at once', async () => {
    const { edge, meeting } = await refusedResume('session_gone', 'access_revoked');

    expect(meeting.getSnapshot().connection).toMatchObject({
      phase: 'failed',
      error: { code: 'access_revoked' },
    });
    expect(edge.requests('join')).toHaveLength(2);
  });

  test('[RJ9] errors that an edge marks as final are not retried, even if their code is retryable', () => {
    const entries: readonly EntryKind[] = ['join', 'return', 'resume'];
    for (const code of ERROR_CODES) {
      for (const as of entries) {
        const final = reactionTo(new PlenaryError(code, undefined, { retryable: false }), as);
        expect(['again', 'elsewhere'], code).not.toContain(final);
      }
    }
  });

  test('[RJ24] a browser that lacks a required feature fails the join at once with an error that does not blame a server', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge, { createDevice: () => Promise.reject(new Error('device not supported')) });

    await expect(meeting.join()).rejects.toMatchObject({ code: 'browser_failed' });
    expect(meeting.getSnapshot().connection).toMatchObject({
      phase: 'failed',
      error: { code: 'browser_failed' },
    });
    expect(edge.requests('join')).toEqual([]);
  });
});
