import type { Clock } from '../clock.ts';
import { MemoryRoomStore } from './memory-room-store.ts';
import { describeRepublishing } from './republishing.contract.ts';
import { describeRoomStore } from './room-store.contract.ts';

let nowMs = 1_700_000_000_000;
/** Each look at it finds it a millisecond later, as no two commands reach Redis in one microsecond. */
const clock: Clock = { wallMs: () => (nowMs += 1), monotonicMs: () => nowMs };

describeRoomStore('memory', () => {
  const rooms = new MemoryRoomStore(clock);
  return Promise.resolve({
    rooms,
    leftOver: () => Promise.resolve(rooms.roomCount),
    close: () => Promise.resolve(),
  });
});

describeRepublishing('memory', () => {
  const rooms = new MemoryRoomStore(clock);
  return Promise.resolve({
    rooms,
    flush: async () => {
      rooms.clear();
      await Promise.resolve();
    },
    keep: async () => {
      const bringBack = rooms.checkpoint();
      return Promise.resolve(async () => {
        bringBack();
        await Promise.resolve();
      });
    },
    passTime: async (byMs: number) => {
      nowMs += byMs;
      await Promise.resolve();
    },
    leftOver: () => Promise.resolve(rooms.roomCount),
    close: () => Promise.resolve(),
  });
});
