import type { Clock } from '../clock.ts';
import { MemoryRoomStore } from './memory-room-store.ts';
import { describeRoomStore } from './room-store.contract.ts';

describeRoomStore('memory', () => {
  let nowMs = 1_700_000_000_000;
  /** Each look at it finds it a millisecond later, as no two commands reach Redis in one microsecond. */
  const clock: Clock = { wallMs: () => (nowMs += 1), monotonicMs: () => nowMs };
  const rooms = new MemoryRoomStore(clock);
  return Promise.resolve({
    rooms,
    leftOver: () => Promise.resolve(rooms.roomCount),
    close: () => Promise.resolve(),
  });
});
