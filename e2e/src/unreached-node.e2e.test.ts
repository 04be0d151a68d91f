/** A media node that announces an address which nobody reaches, and people in real browsers. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UnreachedNode } from './harness/unreached-node.ts';
import { until } from './harness/until.ts';

describe('a media node that nobody reaches', () => {
  let nodes: UnreachedNode;
  beforeAll(async () => {
    nodes = await UnreachedNode.start();
  });
  afterAll(async () => {
    await nodes.stop();
  });

  it('[HL7] is left by those who came to it, and passed over for others', async () => {
    const { unreached, other } = nodes;
    const [ann, bob] = [await nodes.join('first', 'Ann'), await nodes.join('first', 'Bob')];
    await Promise.all([ann.untilSeesAndHears(), bob.untilSeesAndHears()]);
    expect([await ann.mediaNodeId(), await bob.mediaNodeId()]).toEqual([other.id, other.id]);
    await until(
      `${unreached.id} to say that nobody reaches it`,
      () => nodes.reasons(),
      (reasons) => reasons.includes('media_unreached'),
    );
    const before = await nodes.missed();
    const cem = await nodes.join('second', 'Cem');
    expect(await cem.mediaNodeId()).toBe(other.id);
    expect(await nodes.missed()).toBe(before);
  });
});
