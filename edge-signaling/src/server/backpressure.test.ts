import { describe, expect, it, vi } from 'vitest';
import { hasBackpressure, MAX_SEND_BUFFER_BYTES, SlowClients } from './backpressure.ts';

describe('a client that does not read', () => {
  it.each([
    { waiting: 0, behind: false },
    { waiting: MAX_SEND_BUFFER_BYTES, behind: false },
    { waiting: MAX_SEND_BUFFER_BYTES + 1, behind: true },
  ])('[RL7] with $waiting bytes waiting is behind: $behind', ({ waiting, behind }) => {
    expect(hasBackpressure(waiting)).toBe(behind);
  });

  it('[RL7] is counted once, however many of its messages could not be sent', () => {
    const onSlow = vi.fn();
    const slow = new SlowClients(onSlow);
    const [first, second] = [{}, {}];
    for (const connection of [first, first, second, first]) slow.cutOff(connection);
    expect(onSlow).toHaveBeenCalledTimes(2);
  });
});
