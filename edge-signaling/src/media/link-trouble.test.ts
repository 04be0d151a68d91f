import { PlenaryError } from '@plenary/cluster';
import { describe, expect, it } from 'vitest';
import { NODE_LOST_AFTER_MS, reconnectAfterMs, linkTroubleOf, troubleOfFailure } from './link-trouble.ts';

describe('a control link that somebody meddles with', () => {
  it('[CL28] is opened again before its node counts as lost, as one that breaks', () => {
    expect(reconnectAfterMs(true)).toBeLessThan(NODE_LOST_AFTER_MS.broken);
    // One that was never up is not tried in haste.
    expect(reconnectAfterMs(false)).toBeGreaterThan(reconnectAfterMs(true));
  });

  it('[CL29] is told from an end that proves nothing, and from one that does not answer', () => {
    const unauthorised = new PlenaryError('unauthorised');
    expect(linkTroubleOf(unauthorised, true)).toBe('meddled');
    expect(linkTroubleOf(unauthorised, false)).toBe('other_secret');
    expect(linkTroubleOf(new PlenaryError('timed_out'), false)).toBe('no_answer');
  });
});

describe('a control link that cannot be opened', () => {
  it.each([
    ['connect ECONNREFUSED 10.1.0.21:4000', 'unreachable'],
    ['getaddrinfo EAI_AGAIN media-gra-1', 'unreachable'],
    ['connect EMFILE 10.1.0.21:4000 - Local (undefined:undefined)', 'too_many_files'],
    ['certificate has expired', 'tls_refused'],
    ['unable to verify the first certificate', 'tls_refused'],
    ['00:error:0A00010B:SSL routines::wrong version number', 'tls_refused'],
  ])('[HL21] [OP12] by "%s" is told as %s', (why, trouble) => {
    // As Engine.IO hands it on.
    const failure = Object.assign(new Error('websocket error'), { description: { error: new Error(why) } });
    expect(troubleOfFailure(failure)).toBe(trouble);
  });

  it('[HL21] since nothing answers in time is told so', () => {
    expect(troubleOfFailure(new Error('timeout'))).toBe('no_answer');
  });
});
