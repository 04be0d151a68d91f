import { expect, test } from 'vitest';
import { chatEvent } from './testing/fixtures.ts';
import { meet } from './testing/meet.ts';
import { ScriptedEdge } from './testing/scripted-edge.ts';

test('[PR20] a notice of a later release changes nothing, and the client continues', async () => {
  const edge = new ScriptedEdge();
  const meeting = meet(edge);
  await meeting.join();
  const before = meeting.getSnapshot();
  for (const payload of [{ level: 3 }, undefined, 'text']) edge.socket.notify('weather.changed', payload);
  expect(meeting.getSnapshot()).toEqual(before);
  expect(meeting.counters).toMatchObject({ unknownNotices: 3, malformed: 0 });
  expect(edge.socket.closed).toBe(false);
  edge.notify('event', chatEvent('101-0', '100-0', 'hello'));
  expect(meeting.getSnapshot().room.chat).toMatchObject([{ text: 'hello' }]);
});
