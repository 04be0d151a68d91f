import { describe, expect, it } from 'vitest';
import { ERROR_CODES, ERROR_TABLE } from '../errors.ts';
import { CLIENT_REQUESTS } from './client-edge.ts';
import {
  compareEventIds,
  EVENT_ID,
  ROOM_ID,
  ROOM_NAME,
  roomIdOf,
  roomNameOf,
  TENANT_ID,
  tenantOf,
} from './ids.ts';
import { CHAT_MESSAGE, CHAT_TEXT, DISPLAY_NAME, LOGGED_NODE_EVENT, ROSTER_PEER } from './room.ts';
import { SESSION_KEY } from './session-key.ts';
import { SAMPLE_SESSION_KEY } from '../testing/samples.ts';
import { TestSessionKey } from '../testing/session-key.ts';

describe('protocol', () => {
  it('[ID1] an id contains only characters that are safe in a key, a link and a record', () => {
    expect(ROOM_NAME.safeParse('team-standup_2').success).toBe(true);
    for (const bad of ['', 'a b', 'a|b', 'a/b', 'a}b', 'ä', 'x'.repeat(65), 7, null]) {
      expect(ROOM_NAME.safeParse(bad).success).toBe(false);
    }
  });

  it('[ID2] [TN1] a room’s id consists of its tenant and its name, and no two pairs give the same id', () => {
    const [acme, standup] = [TENANT_ID.parse('acme'), ROOM_NAME.parse('standup')];
    expect(roomIdOf(acme, standup)).toBe('acme/standup');
    const longest = roomIdOf(TENANT_ID.parse('t'.repeat(64)), ROOM_NAME.parse('r'.repeat(64)));
    expect(tenantOf(longest)).toBe('t'.repeat(64));
    expect(roomNameOf(longest)).toBe('r'.repeat(64));
    for (const bad of [
      'standup',
      '/standup',
      'acme/',
      'acme//standup',
      'a/b/c',
      'acme/stand up',
      'acme/a|b',
      'acme/a}b',
    ]) {
      expect(ROOM_ID.safeParse(bad).success).toBe(false);
    }
  });

  it('[LG1] event ids are ordered as Redis orders them, also beyond the precision of a double', () => {
    const id = (text: string) => EVENT_ID.parse(text);
    expect(compareEventIds(id('9-0'), id('10-0'))).toBe(-1);
    expect(compareEventIds(id('10-9'), id('10-10'))).toBe(-1);
    expect(compareEventIds(id('9999999999999999999-1'), id('9999999999999999999-0'))).toBe(1);
    expect(compareEventIds(id('5-5'), id('5-5'))).toBe(0);
  });

  it('[PR3] the schema accepts exactly the event ids that Redis accepts', () => {
    for (const good of ['0-0', '1700000000000-3', `${'9'.repeat(19)}-${'9'.repeat(19)}`]) {
      expect(EVENT_ID.safeParse(good).success).toBe(true);
    }
    for (const bad of [
      '',
      '5',
      '5-',
      '-5',
      '5-5-5',
      ' 5-5',
      '5-5\n',
      '+5-5',
      `${'1'.repeat(20)}-0`,
      `0-${'1'.repeat(20)}`,
    ]) {
      expect(EVENT_ID.safeParse(bad).success).toBe(false);
    }
  });

  it('[PR2] a session key is a point of its curve', async () => {
    const { x, y } = SAMPLE_SESSION_KEY;
    expect(SESSION_KEY.parse(SAMPLE_SESSION_KEY)).toEqual(SAMPLE_SESSION_KEY);
    for (let round = 0; round < 20; round += 1) {
      const { jwk } = await TestSessionKey.create();
      expect(SESSION_KEY.safeParse(jwk).success).toBe(true);
    }
    const isRefused = (changes: Record<string, unknown>): boolean =>
      !SESSION_KEY.safeParse({ ...SAMPLE_SESSION_KEY, ...changes }).success;
    const zero = 'A'.repeat(43);
    // The coordinate of all ones is above the prime. The last two bits of its last character must be zero.
    const ones = `${'_'.repeat(42)}8`;
    for (const off of [
      { x: y },
      { y: x },
      { x: zero },
      { y: zero },
      { x: zero, y: zero },
      { x: ones },
      { y: ones },
    ]) {
      expect(isRefused(off)).toBe(true);
    }
    for (const bad of ['', `${x}A`, x.slice(1), `${x.slice(0, 42)}Z`, 'ä'.repeat(43), 7]) {
      expect(isRefused({ x: bad })).toBe(true);
    }
  });

  it('[ER4] [MS13] text from people is trimmed, bounded and free of control characters', () => {
    expect(DISPLAY_NAME.parse('  Ann  ')).toBe('Ann');
    for (const bad of ['   ', 'x'.repeat(65), 'a\u0000b', 'a\u001bb']) {
      expect(DISPLAY_NAME.safeParse(bad).success).toBe(false);
    }
    expect(CHAT_TEXT.safeParse('two\nlines\tand a tab').success).toBe(true);
    expect(CHAT_TEXT.safeParse('x'.repeat(4_001)).success).toBe(false);
  });

  it('[ER4] a time is within the range of a Date, so that showing it does not throw', () => {
    const message = { messageId: 'm', peerId: 'p', displayName: 'Ann', text: 'hi' };
    const last = 8_640_000_000_000_000;
    expect(new Date(CHAT_MESSAGE.parse({ ...message, sentAtMs: last }).sentAtMs).toISOString()).not.toBe('');
    const peer = { peerId: 'p', displayName: 'Ann', role: 'host' };
    for (const late of [last + 1, Number.MAX_SAFE_INTEGER]) {
      expect(CHAT_MESSAGE.safeParse({ ...message, sentAtMs: late }).success).toBe(false);
      expect(ROSTER_PEER.safeParse({ ...peer, joinedAtMs: late }).success).toBe(false);
    }
  });

  it('[ER2] unknown fields are dropped, and missing ones refused', () => {
    const { payload } = CLIENT_REQUESTS['track.pause'];
    expect(payload.parse({ trackId: 't', paused: true, extra: 1 })).toEqual({ trackId: 't', paused: true });
    expect(payload.safeParse({ trackId: 't' }).success).toBe(false);
  });

  it('[CL34] an event from a media node cannot add a peer or a chat message', () => {
    const told = (event: object): boolean =>
      LOGGED_NODE_EVENT.safeParse({ id: '2-0', previousId: '1-0', event }).success;
    const peer = { peerId: 'p', displayName: 'Ann', role: 'host', joinedAtMs: 1 };
    const message = { messageId: 'm', peerId: 'p', displayName: 'Ann', text: 'hi', sentAtMs: 1 };
    expect(ROSTER_PEER.safeParse(peer).success && CHAT_MESSAGE.safeParse(message).success).toBe(true);
    expect(told({ type: 'peer.joined', peer })).toBe(false);
    expect(told({ type: 'chat.posted', message })).toBe(false);
    expect(told({ type: 'peer.left', peerId: 'p', reason: 'node_lost' })).toBe(true);
  });

  it('[ER1] every code of the table has a summary and says whether a retry may succeed', () => {
    expect(ERROR_CODES).toEqual(Object.keys(ERROR_TABLE));
    for (const code of ERROR_CODES) expect(ERROR_TABLE[code].summary).toMatch(/\.$/);
  });
});
