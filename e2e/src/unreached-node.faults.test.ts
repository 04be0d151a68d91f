/** A media node whose announced address becomes reachable after half a minute in which it got no peers. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UnreachedNode } from './harness/unreached-node.ts';
import { until } from './harness/until.ts';

describe('a media node that nobody reaches', () => {
  let nodes: UnreachedNode;
  beforeAll(async () => {
    nodes = await UnreachedNode.start();
  }, 120_000);
  afterAll(async () => {
    await nodes.stop();
  }, 120_000);

  it('[HL34] is used again once it can be reached', { timeout: 240_000 }, async () => {
    const { unreached } = nodes;
    for (const name of ['Ann', 'Bob']) await nodes.join('first', name);
    await until(
      'the node to report that nobody reaches it',
      () => nodes.reasons(),
      (reasons) => reasons.includes('media_unreached'),
    );
    await nodes.openPath();
    await until(
      'the node to accept people again',
      () => nodes.reasons(),
      (reasons) => reasons.length === 0,
    );
    // The edge reads the registry once a second.
    let room = 0;
    const dan = await until(
      'a person to be placed on it',
      async () => nodes.join(`room-${(room += 1)}`, 'Dan'),
      async (person) => (await person.mediaNodeId()) === unreached.id,
    );
    const eve = await nodes.join(`room-${room}`, 'Eve');
    await Promise.all([dan.untilSeesAndHears(), eve.untilSeesAndHears()]);
    expect([await dan.mediaNodeId(), await eve.mediaNodeId()]).toEqual([unreached.id, unreached.id]);
  });
});
