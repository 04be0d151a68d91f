/** A media node that announces an unreachable address, and people in real browsers. */
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

  it('[HL7] [HL30] people placed on it are moved, and later ones are placed elsewhere', async () => {
    const { unreached, other } = nodes;
    const [ann, bob] = [await nodes.join('first', 'Ann'), await nodes.join('first', 'Bob')];
    await Promise.all([ann.untilSeesAndHears(), bob.untilSeesAndHears()]);
    expect([await ann.mediaNodeId(), await bob.mediaNodeId()]).toEqual([other.id, other.id]);
    const isDoubted = async (): Promise<boolean> => (await nodes.reasons()).includes('media_unreached');
    // Two people who did not reach it make it unreachable for half a minute. A slow machine may take that long for a join, and the next
    // person would be placed there again.
    const joined = await until(
      `a person joins while ${unreached.id} counts as unreachable`,
      async () => {
        const [doubtedBefore, missedBefore] = [await isDoubted(), await nodes.missed()];
        const cem = await nodes.join('second', 'Cem');
        const mediaNodeId = await cem.mediaNodeId();
        const missed = (await nodes.missed()) === missedBefore ? 'nobody' : 'somebody';
        return { mediaNodeId, missed, doubted: doubtedBefore && (await isDoubted()) };
      },
      ({ doubted }) => doubted,
    );
    expect(joined).toMatchObject({ mediaNodeId: other.id, missed: 'nobody' });
  });
});
