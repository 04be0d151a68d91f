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

  it('[HL7] [HL30] is left by those who came to it, and passed over for others', async () => {
    const { unreached, other } = nodes;
    const [ann, bob] = [await nodes.join('first', 'Ann'), await nodes.join('first', 'Bob')];
    await Promise.all([ann.untilSeesAndHears(), bob.untilSeesAndHears()]);
    expect([await ann.mediaNodeId(), await bob.mediaNodeId()]).toEqual([other.id, other.id]);
    const isDoubted = async (): Promise<boolean> => (await nodes.reasons()).includes('media_unreached');
    // Two people who were put on it make it doubted, for half a minute, which a slow machine may take to let somebody in; whoever comes
    // then tries it again.
    const came = await until(
      `somebody comes while ${unreached.id} is doubted`,
      async () => {
        const [doubtedBefore, missedBefore] = [await isDoubted(), await nodes.missed()];
        const cem = await nodes.join('second', 'Cem');
        const mediaNodeId = await cem.mediaNodeId();
        const missed = (await nodes.missed()) === missedBefore ? 'nobody' : 'somebody';
        return { mediaNodeId, missed, doubted: doubtedBefore && (await isDoubted()) };
      },
      ({ doubted }) => doubted,
    );
    expect(came).toMatchObject({ mediaNodeId: other.id, missed: 'nobody' });
  });
});
