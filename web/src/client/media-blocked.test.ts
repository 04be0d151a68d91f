import type { FakeHandler } from 'mediasoup-client/handlers/FakeHandler';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { FIRST_EPOCH } from './testing/fixtures.ts';
import { heldDevice } from './testing/held-device.ts';
import { meet } from './testing/meet.ts';
import { ScriptedEdge } from './testing/scripted-edge.ts';

let handlers: FakeHandler[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  handlers = [];
});
afterEach(() => {
  vi.useRealTimers();
});

const device = () => heldDevice(handlers);

async function joined() {
  const edge = new ScriptedEdge();
  const meeting = meet(edge, { createDevice: device });
  let isJoined = false;
  const joining = meeting.join().then(() => (isJoined = true));
  // Keys are generated outside the fake timers, and take longer on a busy machine.
  while (!isJoined) await vi.advanceTimersByTimeAsync(10);
  await joining;
  return { edge, meeting, media: () => meeting.getSnapshot().media };
}

describe('transports that never connect', () => {
  test('[AD2] are shown as blocked after eight seconds, until they connect', async () => {
    const { media } = await joined();
    await vi.advanceTimersByTimeAsync(7_500);

    expect(media()).toBe('connecting');

    await vi.advanceTimersByTimeAsync(1_000);

    expect(media()).toBe('blocked');

    for (const handler of handlers) handler.setConnectionState('connected');

    expect(media()).toBe('connected');
  });

  test('[AD2] [HL25] are shown as blocked no later when the edge meanwhile moves the client to another media node', async () => {
    const { edge, media } = await joined();
    await vi.advanceTimersByTimeAsync(4_000);
    edge.notify('media.lost', { reason: 'transport_failed', epoch: FIRST_EPOCH });
    await vi.advanceTimersByTimeAsync(3_000);

    expect(media()).toBe('connecting');

    await vi.advanceTimersByTimeAsync(1_500);

    expect(media()).toBe('blocked');
  });

  test('[AD2] [AD12] stay blocked while a new media session opens; a path that was connected once is lost, not blocked', async () => {
    const { edge, media } = await joined();
    await vi.advanceTimersByTimeAsync(9_000);
    edge.notify('media.lost', { reason: 'transport_failed', epoch: FIRST_EPOCH });

    expect(media()).toBe('blocked');

    await vi.advanceTimersByTimeAsync(1_000);

    expect(media()).toBe('blocked');

    for (const handler of handlers) handler.setConnectionState('connected');

    expect(media()).toBe('connected');

    for (const handler of handlers) handler.setConnectionState('disconnected');

    expect(media()).toBe('reconnecting');
  });

  test('[WB38] after a working path are shown as lost until a path is connected again', async () => {
    const { edge, media } = await joined();
    for (const handler of handlers) handler.setConnectionState('connected');
    const before = handlers.length;
    edge.notify('media.lost', { reason: 'transport_failed', epoch: FIRST_EPOCH });
    while (handlers.length === before) await vi.advanceTimersByTimeAsync(100);
    await vi.advanceTimersByTimeAsync(1_000);

    expect(media()).toBe('reconnecting');

    for (const handler of handlers.slice(before)) handler.setConnectionState('connected');

    expect(media()).toBe('connected');
  });
});
