import { expect, it } from 'vitest';
import { ManualClock } from '../clock.ts';
import { ROSTER_PAGE_SIZE } from '../protocol/room.ts';
import { joinRoom, ROOM } from '../testing/rooms-under-test.ts';
import { MemoryRoomStores } from './memory-room-stores.ts';

it('[PR21] a cursor in another form than those of roster pages is refused', async () => {
  const stores = new MemoryRoomStores(new ManualClock());
  for (let person = 0; person <= ROSTER_PAGE_SIZE; person += 1) await joinRoom(stores, `peer-${person}`);
  const { nextCursor = 'missing' } = await stores.roomLog.rosterPage(ROOM, '');
  expect((await stores.roomLog.rosterPage(ROOM, nextCursor)).peers).toHaveLength(1);
  for (const cursor of [`${nextCursor}x`, `-${nextCursor}`, '1e3', `${nextCursor}-peer-1`, '9'.repeat(16)])
    await expect(stores.roomLog.rosterPage(ROOM, cursor)).rejects.toMatchObject({
      code: 'malformed_message',
    });
});
