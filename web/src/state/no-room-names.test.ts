import { expect, test } from 'vitest';
import { explainRoomName } from './notices.ts';
import { readTypedRoom } from './room-names.ts';

/** Texts that resemble the name or the link of a room, and name none. */
const NO_ROOMS = [
  'team 日本',
  'https://meet.test/r/team%E0%A4%A',
  'https://other.test/r/team',
  `team${'a'.repeat(64)}`,
  'https://meet.test/team',
  '!!!',
];

test.each(NO_ROOMS)('[WB64] %s leads to no room, and the person is told why', (text) => {
  const read = readTypedRoom(text, new URL('https://meet.test/'));
  if (read.type === 'room') expect.fail(`it leads to ${read.path}`);
  expect(explainRoomName(read)).toMatch(/\w/);
});
