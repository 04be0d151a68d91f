import { EPOCH } from '@plenary/cluster';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EdgeParts, RecordingSocket } from '../testing/edge-parts.ts';
import { MoveReminder, REMIND_MS } from './move-reminder.ts';

describe('MoveReminder', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  async function reminding() {
    const parts = new EdgeParts();
    const first = await parts.place('ann', 'node');
    const socket = new RecordingSocket();
    const session = parts.hold(first, socket);
    const reminder = new MoveReminder(parts.localRooms);
    reminder.start();
    const told = (): string[] => {
      vi.advanceTimersByTime(REMIND_MS);
      return socket.told.splice(0);
    };
    return { parts, first, session, told, reminder };
  }

  it('[EP14] asks again for a move that no node admitted, until another one does', async () => {
    const { parts, first, session, told, reminder } = await reminding();
    expect([told(), told()].flat()).toEqual([]);
    session.notePlaced(EPOCH.parse(first.epoch + 1));
    expect([told(), told(), told()]).toEqual([[], ['media.move'], ['media.move']]);
    const second = await parts.place('ann', 'another', first.epoch);
    session.moveTo({ ...second, incarnation: undefined });
    expect([told(), told()].flat()).toEqual([]);
    reminder.stop();
  });

  it('[EP14] asks again while the client has not left its previous media, and not whose media is lost', async () => {
    const { parts, first, session, told, reminder } = await reminding();
    const second = await parts.place('ann', 'another', first.epoch);
    session.moveTo({ ...second, incarnation: undefined }, { ...first, incarnation: undefined });
    expect([told(), told()]).toEqual([[], ['media.move']]);
    session.completeMove();
    expect([told(), told()].flat()).toEqual([]);
    session.notePlaced(EPOCH.parse(second.epoch + 1));
    session.noteMediaLost(second.epoch);
    expect([told(), told()].flat()).toEqual([]);
    reminder.stop();
  });

  it('[EP14] asks again where nobody knows whether another placement was made', async () => {
    const { first, session, told, reminder } = await reminding();
    session.noteUnsureMove(first.epoch);
    expect([told(), told()]).toEqual([[], ['media.move']]);
    reminder.stop();
  });
});
