import { ManualClock } from '@plenary/cluster';
import { describe, expect, it } from 'vitest';
import { FLOOD_SETTINGS } from './flood-settings.ts';
import { FRAME_BUDGETS, FrameBudgets, FrameGuard, ENTRY_FRAMES } from './frame-budgets.ts';
import type { FrameScope, Inflow } from './frame-budgets.ts';

const SOCKETS_PER_ADDRESS = 2_000;
const { frames: FRAMES } = FLOOD_SETTINGS;
const { frames: OF_SOCKET } = FRAME_BUDGETS.address;

function edgeOf(socketsPerAddress = SOCKETS_PER_ADDRESS) {
  const clock = new ManualClock();
  const cut: `${FrameScope} ${Inflow}`[] = [];
  const log = { cutOff: (scope: FrameScope, inflow: Inflow) => void cut.push(`${scope} ${inflow}`) };
  const budgets = new FrameBudgets({ clock, socketsPerAddress, log });
  return { clock, cut, budgets, connect: (address = '192.0.2.1') => new FrameGuard(budgets, address) };
}

/** Sends so many frames. @returns how many of them were read */
const send = (guard: FrameGuard, count: number, byteLength = 50): number =>
  Array.from({ length: count }, () => guard.onFrame(byteLength)).filter((verdict) => verdict === 'allowed')
    .length;

describe('the frames of a connection', () => {
  it('[RL2] [RL10] are limited by number and by bytes, and after one too many none is read', () => {
    const { clock, connect, cut } = edgeOf();
    const byNumber = connect();
    expect(send(byNumber, 1_100, 1)).toBe(FRAMES.capacity);
    expect(send(connect(), 20, 65_536)).toBe(FLOOD_SETTINGS.bytes.capacity / 65_536);
    clock.advance(60_000);
    expect(byNumber.onFrame(1)).toBe('flooding');
    expect(cut).toEqual(['session frames', 'session received']);
  });

  it('[EN14] [BU17] count by the bytes that they had on the wire, whatever letters are in them', () => {
    const { connect } = edgeOf();
    const { capacity } = FLOOD_SETTINGS.bytes;
    for (const letter of ['e', 'é', '漢']) {
      const frame = letter.repeat(4_096);
      for (const data of [frame, Buffer.from(frame)]) {
        const guard = connect();
        let read = 0;
        while (guard.onPacket(data) === 'allowed') read += 1;
        expect(read).toBe(Math.floor(capacity / Buffer.byteLength(data)));
      }
    }
  });

  it('[BU17] [BU61] are paid by the session, on its next connection too, and with those from before it was known', () => {
    const { budgets, connect } = edgeOf();
    const budget = budgets.newSessionBudget();
    const before = connect();
    send(before, 100);
    before.payFrom(budget, 'acme ann');
    send(before, 500);
    const again = connect();
    send(again, 10);
    again.payFrom(budget, 'acme ann');
    expect(send(again, 1_000)).toBe(FRAMES.capacity - 100 - 500 - 10);
    expect(again.onFrame(1)).toBe('flooding');
  });

  it('[BU62] of a session that comes from another edge are a part of the whole', () => {
    const { budgets, connect } = edgeOf();
    const guard = connect();
    guard.payFrom(budgets.carriedSessionBudget(0), 'acme ann');
    expect(send(guard, 1_000)).toBe(FRAMES.capacity * 0.3);
  });
});

describe('one person with ten joins', () => {
  const joins = (edge: ReturnType<typeof edgeOf>, count: number): FrameGuard[] =>
    Array.from({ length: count }, (_, index) => {
      const guard = edge.connect(`192.0.2.${index}`);
      guard.payFrom(edge.budgets.newSessionBudget(), 'acme mallory');
      return guard;
    });

  it('[BU63] sends with all of them together what one session may, and a little to come in with each', () => {
    const edge = edgeOf();
    const guards = joins(edge, 10);
    let read = 0;
    for (let round = 0; round < 1_000; round += 1) for (const guard of guards) read += send(guard, 1);
    expect(read).toBeGreaterThanOrEqual(FRAMES.capacity);
    expect(read).toBeLessThan(2 * FRAMES.capacity);
    expect(edge.cut).toEqual(Array(10).fill('person frames'));
  });

  it('[BU65] is cut off on each so that it comes back by itself: what the others send is none of its doing', () => {
    const edge = edgeOf();
    const guards = joins(edge, 10);
    for (let round = 0; round < 1_000; round += 1) for (const guard of guards) guard.onFrame(50);
    expect(guards.map((guard) => guard.onFrame(50))).toEqual(Array(10).fill('rate_limited'));
  });

  it('[BU63] finds no fresh budget by joining anew', () => {
    const edge = edgeOf();
    send(joins(edge, 1)[0] ?? edge.connect(), FRAMES.capacity);
    const each = joins(edge, 10).map((guard) => send(guard, 1_000));
    expect(Math.max(...each)).toBeLessThan(FRAMES.capacity / 5);
  });

  it('[BU63] is no trouble to another person, nor to their own quiet one', () => {
    const edge = edgeOf();
    const [quiet, ...others] = joins(edge, 10);
    const ann = edge.connect();
    ann.payFrom(edge.budgets.newSessionBudget(), 'acme ann');
    for (let second = 0; second < 30; second += 1) {
      for (const guard of others) send(guard, 190);
      expect([ann.onFrame(50), quiet?.onFrame(50)]).toEqual(['allowed', 'allowed']);
      edge.clock.advance(1_000);
    }
  });
});

describe('an address', () => {
  it('[BU64] with a hundred connections that send 190 frames a second each has one budget; neighbours go on', () => {
    const { clock, connect, cut } = edgeOf();
    let flooders = Array.from({ length: 100 }, () => connect());
    const neighbours = Array.from({ length: 50 }, () => connect());
    let read = 0;
    let reconnects = 0;
    for (let tick = 0; tick < 600; tick += 1) {
      flooders = flooders.map((guard) => {
        const count = send(guard, 19);
        read += count;
        // Who is cut off comes back, as often as the address may connect.
        if (count === 19 || reconnects > 1_000 + tick * 10) return guard;
        reconnects += 1;
        return connect();
      });
      for (const guard of neighbours) if (tick % 5 === 0) expect(guard.onFrame(500)).toBe('allowed');
      clock.advance(100);
    }
    const income = SOCKETS_PER_ADDRESS * (OF_SOCKET.capacity + 60 * OF_SOCKET.refillPerSecond);
    expect(read).toBeLessThan(1.05 * income + reconnects * ENTRY_FRAMES.frames);
    expect(new Set(cut)).toEqual(new Set(['address frames']));
  });

  it('[BU65] is told to come back where others use up what it shares', () => {
    const { connect } = edgeOf(1);
    const guard = connect();
    send(guard, 500);
    expect(guard.onFrame(1)).toBe('rate_limited');
  });

  it('[BU64] [EN32] of IPv6 is its network and its site', () => {
    const { connect } = edgeOf(1);
    const each = Array.from({ length: 20 }, (_, host) => send(connect(`2001:db8:1:2::${host + 1}`), 200));
    expect(each[0]).toBeGreaterThanOrEqual(OF_SOCKET.capacity);
    expect(each.at(-1)).toBeLessThanOrEqual(OF_SOCKET.capacity);
    const bySite = Array.from({ length: 40 }, (_, network) =>
      send(connect(`2001:db8:1:${network + 9}::1`), 200),
    );
    expect(bySite.at(-1)).toBeLessThanOrEqual(OF_SOCKET.capacity);
  });

  it('[BU64] that two thousand come in by within a few seconds cuts off none of them', () => {
    const { clock, connect, cut } = edgeOf();
    const guards: FrameGuard[] = [];
    for (let tick = 0; tick < 100; tick += 1) {
      for (let count = 0; count < 20; count += 1) guards.push(connect());
      for (const guard of guards.slice(-20)) for (let frame = 0; frame < 30; frame += 1) guard.onFrame(1_000);
      clock.advance(50);
    }
    for (let second = 0; second < 60; second += 1) {
      for (const guard of guards) guard.onFrame(200);
      clock.advance(1_000);
    }
    expect(cut).toEqual([]);
  });

  it('[BU34] is forgotten when nobody has sent anything lately, as are persons', () => {
    const { clock, budgets, connect } = edgeOf();
    const guard = connect();
    guard.payFrom(budgets.newSessionBudget(), 'acme ann');
    send(guard, 10);
    clock.advance(60_000);
    budgets.forgetIdle();
    expect([budgets.persons.size, budgets.addresses.size]).toEqual([0, 0]);
  });
});
