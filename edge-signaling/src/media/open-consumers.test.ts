import { EPOCH } from '@plenary/cluster';
import { CONSUMER_ID } from '@plenary/cluster/ids';
import { MAX_CONSUMERS } from '@plenary/cluster/protocol';
import { describe, expect, it } from 'vitest';
import { OpenConsumers } from './open-consumers.ts';

describe('what a client opens', () => {
  it('[BU9] is bounded: consumers count once, and not any more when they or their media are gone', () => {
    const consumers = new OpenConsumers();
    const epoch = EPOCH.parse(1);
    const ids = Array.from({ length: MAX_CONSUMERS }, (_, index) => CONSUMER_ID.parse(`c${index}`));
    consumers.opened(epoch, ids);
    consumers.opened(epoch, ids);
    expect(consumers.roomOn(epoch)).toBe(0);
    consumers.closed(ids.slice(0, 3));
    expect(consumers.roomOn(epoch)).toBe(3);
    consumers.keepOnly([EPOCH.parse(2)]);
    expect(consumers.roomOn(epoch)).toBe(MAX_CONSUMERS);
  });
});
