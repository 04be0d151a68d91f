import { PlenaryError } from '@plenary/cluster';
import { describe, expect, it } from 'vitest';
import { NODE_LOST_AFTER_MS, reconnectAfterMs, troubleOf } from './control-link.ts';

describe('a control link that somebody meddles with', () => {
  it('[CL10] is opened again before its node counts as lost, as one that breaks', () => {
    expect(reconnectAfterMs(true)).toBeLessThan(NODE_LOST_AFTER_MS.broken);
    // One that was never up is not tried in haste.
    expect(reconnectAfterMs(false)).toBeGreaterThan(reconnectAfterMs(true));
  });

  it('[CL10] is told from an end that proves nothing, and from one that does not answer', () => {
    const unauthorised = new PlenaryError('unauthorised');
    expect(troubleOf(unauthorised, true)).toBe('meddled');
    expect(troubleOf(unauthorised, false)).toBe('other_secret');
    expect(troubleOf(new PlenaryError('timed_out'), false)).toBe('no_answer');
  });
});
