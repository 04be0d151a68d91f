import { EPOCH } from '@plenary/cluster';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EdgeParts, RecordingSocket } from '../testing/edge-parts.ts';
import { MoveReminder, REMIND_MS } from './move-reminder.ts';

describe('MoveReminder', () => {
  let reminder: MoveReminder | undefined;

  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    reminder?.stop();
    vi.useRealTimers();
  });

  /** Places Ann on a media node and starts a reminder that checks her session. */
  async function placedOnNode() {
    const parts = new EdgeParts();
    const first = await parts.place('ann', 'node');
    const socket = new RecordingSocket();
    const session = parts.hold(first, socket);
    reminder = new MoveReminder(parts.localRooms);
    reminder.start();
    /** Advances the clock to the next check of the reminder and returns the notices that the client received by then. */
    const afterNextReminder = (): string[] => {
      vi.advanceTimersByTime(REMIND_MS);
      return socket.told.splice(0);
    };
    return { parts, first, session, afterNextReminder };
  }

  /** Places Ann on a second media node; her client still has its media session on the first one. */
  async function movingToAnother() {
    const given = await placedOnNode();
    const second = await given.parts.place('ann', 'another', given.first.epoch);
    given.session.moveTo({ ...second, incarnation: undefined }, { ...given.first, incarnation: undefined });
    return { ...given, second };
  }

  it('[EP14] requests no move from a client that is not moving', async () => {
    const { afterNextReminder } = await placedOnNode();

    const notices = [afterNextReminder(), afterNextReminder()];

    expect(notices).toEqual([[], []]);
  });

  it('[EP14] requests a move again and again while no node admits the peer', async () => {
    const { first, session, afterNextReminder } = await placedOnNode();
    session.notePlaced(EPOCH.parse(first.epoch + 1));

    const notices = [afterNextReminder(), afterNextReminder(), afterNextReminder()];

    expect(notices).toEqual([[], ['media.move'], ['media.move']]);
  });

  it('[EP14] stops requesting the move once another node has admitted the peer', async () => {
    const { parts, first, session, afterNextReminder } = await placedOnNode();
    session.notePlaced(EPOCH.parse(first.epoch + 1));
    const before = [afterNextReminder(), afterNextReminder()];
    const second = await parts.place('ann', 'another', first.epoch);

    session.moveTo({ ...second, incarnation: undefined });

    expect(before).toEqual([[], ['media.move']]);
    expect([afterNextReminder(), afterNextReminder()]).toEqual([[], []]);
  });

  it('[EP14] requests a move again while the client has not left its previous media session', async () => {
    const { afterNextReminder } = await movingToAnother();

    const notices = [afterNextReminder(), afterNextReminder()];

    expect(notices).toEqual([[], ['media.move']]);
  });

  it('[EP14] stops requesting the move once the client has left its previous media session', async () => {
    const { session, afterNextReminder } = await movingToAnother();
    const before = [afterNextReminder(), afterNextReminder()];

    session.completeMove();

    expect(before).toEqual([[], ['media.move']]);
    expect([afterNextReminder(), afterNextReminder()]).toEqual([[], []]);
  });

  it('[EP14] requests no move from a client whose media session is lost', async () => {
    const { second, session, afterNextReminder } = await movingToAnother();
    session.completeMove();
    session.notePlaced(EPOCH.parse(second.epoch + 1));

    session.noteMediaLost(second.epoch);

    expect([afterNextReminder(), afterNextReminder()]).toEqual([[], []]);
  });

  it('[EP14] requests a move again when the edge cannot tell whether another placement was made', async () => {
    const { first, session, afterNextReminder } = await placedOnNode();
    session.noteUnsureMove(first.epoch);

    const notices = [afterNextReminder(), afterNextReminder()];

    expect(notices).toEqual([[], ['media.move']]);
  });
});
