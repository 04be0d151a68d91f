import { ManualClock } from '@plenary/cluster';
import { edgeRecord } from '@plenary/cluster/testing/samples';
import { describe, expect, it } from 'vitest';
import { PubSubVerdict, SAID_WITHIN_MS } from './pubsub-verdict.ts';

const HEARING = edgeRecord('edge-b');
const DEAF = edgeRecord('edge-c', { isPubSubOff: true });

describe('an edge that hears no other edge', () => {
  it('[HL13] is passed over for one that says no such thing', () => {
    const clock = new ManualClock();
    const verdict = new PubSubVerdict(clock);
    expect(verdict.isBetterElsewhere([HEARING])).toBe(false);
    verdict.changed('access_denied');
    expect(verdict.isOff).toBe(true);
    clock.advance(SAID_WITHIN_MS);
    expect(verdict.isBetterElsewhere([HEARING, DEAF])).toBe(true);
    expect(verdict.isBetterElsewhere([DEAF])).toBe(false);
    expect(verdict.isBetterElsewhere([])).toBe(false);
    verdict.changed(undefined);
    expect(verdict.isOff).toBe(false);
    expect(verdict.isBetterElsewhere([HEARING])).toBe(false);
  });

  it('[HL13] gives the others the time to find the same fault and to say it', () => {
    const clock = new ManualClock();
    const verdict = new PubSubVerdict(clock);
    verdict.changed('access_denied');
    clock.advance(SAID_WITHIN_MS - 1);
    verdict.changed('no_connection');
    expect(verdict.isBetterElsewhere([HEARING])).toBe(false);
    clock.advance(1);
    expect(verdict.isBetterElsewhere([HEARING])).toBe(true);
  });
});
