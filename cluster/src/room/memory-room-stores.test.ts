import type { Clock } from '../clock.ts';
import type { RoomsUnderTest } from '../testing/rooms-under-test.ts';
import { describeGatewayStore } from './gateway-store.contract.ts';
import { MemoryRoomStores } from './memory-room-stores.ts';
import { describePlacementStore } from './placement-store.contract.ts';
import { describeRecoveryStore } from './recovery-store.contract.ts';
import type { RecoveryUnderTest } from './recovery-store.contract.ts';
import { describeRoomEntries } from './room-entries.contract.ts';
import { describeRoomLog } from './room-log.contract.ts';

let nowMs = 1_700_000_000_000;
/** Each reading is a millisecond later, as no two commands reach Redis in one microsecond. */
const clock: Clock = { wallMs: () => (nowMs += 1), monotonicMs: () => nowMs };

const open = async (): Promise<RoomsUnderTest & { readonly stores: MemoryRoomStores }> => {
  const stores = new MemoryRoomStores(clock);
  return Promise.resolve({
    stores,
    remainingCount: () => Promise.resolve(stores.rooms.roomCount),
    close: () => Promise.resolve(),
  });
};

describePlacementStore('memory', open);
describeRoomLog('memory', open);
describeGatewayStore('memory', open);

const openRecovery = async (): Promise<RecoveryUnderTest> => {
  const opened = await open();
  const { rooms } = opened.stores;
  return {
    ...opened,
    flush: async () => {
      rooms.clear();
      await Promise.resolve();
    },
    checkpoint: async () => {
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
  };
};
describeRecoveryStore('memory', openRecovery);
describeRoomEntries('memory', openRecovery);
