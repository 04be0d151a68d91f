import { MAX_RAISED_HANDS, PEER_ID, ROLE, ROOM_ENTRY, type Role } from '@plenary/cluster/protocol';
import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, test, vi } from 'vitest';
import type { MeetingSnapshot } from '../../client/index.ts';
import { applyEvent, roomFromSnapshot, type RoomState } from '../../client/room-state.ts';
import { loggedEvent, peerOf, snapshotOf } from '../../client/testing/fixtures.ts';
import { HandButton } from './HandButton.tsx';
import { HandList } from './HandList.tsx';
import {
  MOST_HANDS_LISTED,
  handsText,
  lowerHand,
  mayLower,
  raisedHands,
  toggleHand,
  watchHands,
} from './hands.ts';

const id = (name: string) => PEER_ID.parse(name);
const hand = (name: string, version: number) =>
  ROOM_ENTRY.parse({ kind: 'hand', peerId: name, version, value: {} });
const PEERS = ['self', 'ben', 'cy', 'dee'].map((name) => peerOf(name, name === 'self' ? 'Ada' : name));
/** A room with raised hands, in the order of these names. */
const roomWith = (...names: string[]): RoomState =>
  roomFromSnapshot(
    snapshotOf({ peers: PEERS, entries: names.map((name, index) => hand(name, index + 1)).reverse() }),
  );
const selfAs = (role: Role): MeetingSnapshot['self'] => ({ peerId: id('self'), displayName: 'Ada', role });
const own = new Set([id('self')]);
const list = (room: RoomState, role: Role = 'speaker'): string =>
  renderToStaticMarkup(<HandList snapshot={{ room, self: selfAs(role) }} onLower={() => undefined} />);

describe('raised hands', () => {
  test('[RE9] are in the order in which they were raised, whatever the order of the snapshot', () => {
    expect([...raisedHands(roomWith('cy', 'self', 'ben'))]).toEqual([
      ['cy', 1],
      ['self', 2],
      ['ben', 3],
    ]);
  });

  test('[RE23] may be lowered by their own peer, and by hosts and moderators', () => {
    for (const role of ROLE.options) {
      expect(mayLower({ self: selfAs(role) }, id('self'))).toBe(true);
      expect([role, mayLower({ self: selfAs(role) }, id('ben'))]).toEqual([
        role,
        role === 'host' || role === 'moderator',
      ]);
    }
    expect(mayLower({ self: undefined }, id('ben'))).toBe(false);
  });

  test('[WB60] are announced while few are up, but not the user’s own, and not those raised before the join', () => {
    const none = roomWith();

    expect(handsText(none, roomWith('ben'), own)).toBe('ben raised a hand');
    expect(handsText(none, roomWith('ben', 'cy'), own)).toBe('ben and cy raised their hands');
    expect(handsText(none, roomWith('self'), own)).toBeUndefined();
    expect(handsText(roomWith('ben'), none, own)).toBeUndefined();
    expect(handsText(roomWith('ben', 'cy'), roomWith('ben', 'cy', 'dee'), own)).toBe('dee raised a hand');
    expect(
      handsText(roomWith('ben', 'cy', 'self'), roomWith('ben', 'cy', 'self', 'dee'), own),
    ).toBeUndefined();

    const beforeJoin: RoomState = { ...none, lastEventId: snapshotOf({ lastEventId: '0-0' }).lastEventId };

    expect(handsText(beforeJoin, roomWith('ben'), own)).toBeUndefined();
  });

  test('[WB60] that were lowered are announced when they go up again', () => {
    let room = roomWith('ben');
    const listeners: (() => void)[] = [];
    const showToast = vi.fn<(text: string) => void>();
    const meeting = {
      getSnapshot: () => ({ room, self: selfAs('speaker'), ownPeerIds: own }),
      subscribe: (listener: () => void) => {
        listeners.push(listener);
        return () => undefined;
      },
    };
    watchHands(meeting, showToast);
    const changeHand = (value?: object): void => {
      const version = 10 + Number(value === undefined);
      const change = {
        kind: 'hand',
        peerId: id('ben'),
        version: version + Number(room.lastEventId.split('-')[0]),
      };
      const changes = [value === undefined ? change : { ...change, value: {} }];
      const next = `${Number(room.lastEventId.split('-')[0]) + 1}-0`;
      room = applyEvent(room, loggedEvent(next, room.lastEventId, { type: 'entries.changed', changes }));
      for (const listener of listeners) listener();
    };
    changeHand();

    expect(showToast).not.toHaveBeenCalled();

    changeHand({});

    expect(showToast.mock.calls).toEqual([['ben raised a hand']]);
  });

  test('[WB59][WB62] the list has the names in order, and buttons for the hands that the user may lower', () => {
    expect(list(roomWith())).toBe('');

    const html = list(roomWith('cy', 'self'));

    expect(html.indexOf('cy')).toBeLessThan(html.indexOf('Ada'));
    expect(html.match(/lower-hand-button/g)).toHaveLength(1);
    expect(html).toContain('Lower your hand');

    const ofHost = list(roomWith('cy', 'self'), 'host');

    expect(ofHost.match(/lower-hand-button/g)).toHaveLength(2);
    expect(ofHost).toContain('Lower the hand of cy');
  });

  test('[WB61] the list shows the first 30 hands, and the number of the others', () => {
    const names = Array.from({ length: MAX_RAISED_HANDS }, (_, index) => `p-${index}`);
    const html = list(roomWith(...names));

    expect(html.match(/data-testid="raised-hand"/g)).toHaveLength(MOST_HANDS_LISTED);
    expect(html).toContain(`and ${MAX_RAISED_HANDS - MOST_HANDS_LISTED} more`);
  });

  test('[WB59] the button shows whether the user’s hand is up', () => {
    const button = (room: RoomState): string =>
      renderToStaticMarkup(
        <HandButton snapshot={{ room, self: selfAs('viewer') }} onToggle={() => undefined} />,
      );

    expect(button(roomWith('ben'))).toMatch(/aria-label="Raise your hand" aria-pressed="false"/);
    expect(button(roomWith('ben', 'self'))).toMatch(/aria-label="Lower your hand" aria-pressed="true"/);
  });

  test('[RE23] the button raises or lowers the hand according to the room’s entries', async () => {
    const request = vi.fn((_name: string, _payload: object) => Promise.resolve({}));
    const meetingIn = (room: RoomState) => ({
      getSnapshot: () => ({ room, self: selfAs('speaker'), ownPeerIds: own }),
      request,
    });
    await toggleHand(meetingIn(roomWith('ben')));
    await toggleHand(meetingIn(roomWith('ben', 'self')));
    await lowerHand(meetingIn(roomWith('ben')), id('ben'));

    expect(request.mock.calls).toEqual([
      ['hand.raise', {}],
      ['hand.lower', {}],
      ['hand.lower', { peerId: 'ben' }],
    ]);
  });
});
