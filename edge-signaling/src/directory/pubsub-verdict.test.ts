import { ManualClock } from '@plenary/cluster';
import { edgeRecord } from '@plenary/cluster/testing/samples';
import { describe, expect, it } from 'vitest';
import { PubSubVerdict, ANNOUNCED_WITHIN_MS } from './pubsub-verdict.ts';

const HEARING = edgeRecord('edge-b');
const DEAF = edgeRecord('edge-c', { isPubSubOff: true });

describe('an edge that hears no other edge', () => {
  it('[HL53] sends clients away only if another edge announces no such fault', () => {
    const clock = new ManualClock();
    const verdict = new PubSubVerdict(clock);
    expect(verdict.isBetterElsewhere([HEARING])).toBe(false);

    verdict.changed('access_denied');
    clock.advance(ANNOUNCED_WITHIN_MS);

    expect(verdict.isOff).toBe(true);
    expect(verdict.isBetterElsewhere([HEARING, DEAF])).toBe(true);
    expect(verdict.isBetterElsewhere([DEAF])).toBe(false);
    expect(verdict.isBetterElsewhere([])).toBe(false);
  });

  it('[HL53] keeps its clients once pub/sub works again', () => {
    const clock = new ManualClock();
    const verdict = new PubSubVerdict(clock);
    verdict.changed('access_denied');
    clock.advance(ANNOUNCED_WITHIN_MS);

    verdict.changed(undefined);

    expect(verdict.isOff).toBe(false);
    expect(verdict.isBetterElsewhere([HEARING])).toBe(false);
  });

  it('[HL53] waits until other edges had time to announce the same fault', () => {
    const clock = new ManualClock();
    const verdict = new PubSubVerdict(clock);
    verdict.changed('access_denied');
    clock.advance(ANNOUNCED_WITHIN_MS - 1);

    verdict.changed('no_connection');

    expect(verdict.isBetterElsewhere([HEARING])).toBe(false);
    clock.advance(1);
    expect(verdict.isBetterElsewhere([HEARING])).toBe(true);
  });
});
