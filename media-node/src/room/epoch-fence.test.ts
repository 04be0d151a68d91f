import { ManualClock } from '@plenary/cluster';
import { describe, expect, test } from 'vitest';
import { testEpoch, testPeerId, testRoom } from '../testing/test-node.ts';
import { EpochFence, MAX_REMEMBERED, REMEMBER_MS } from './epoch-fence.ts';

const peer = (epoch: number, name = 'p') => ({
  roomId: testRoom('r'),
  peerId: testPeerId(name),
  epoch: testEpoch(epoch),
});

function fenceWith(hosted: (name: string) => boolean = () => false): {
  fence: EpochFence;
  clock: ManualClock;
} {
  const clock = new ManualClock();
  return { clock, fence: new EpochFence(clock, ({ peerId }) => hosted(peerId)) };
}

describe('the epoch fence', () => {
  test('[EP2] refuses epochs older than the newest one of each peer', () => {
    const { fence } = fenceWith();
    fence.admit(peer(5));
    fence.admit(peer(5));
    fence.see(peer(7));
    expect(() => {
      fence.see(peer(6));
    }).toThrow(/newer placement/);
    expect(() => {
      fence.admit(peer(5));
    }).toThrow(/newer placement/);
    fence.admit(peer(1, 'other'));
  });

  test('[EP9] refuses a dropped epoch, but not a newer one', () => {
    const { fence } = fenceWith();
    fence.admit(peer(5));
    fence.drop(peer(5));
    fence.see(peer(5));
    expect(() => {
      fence.admit(peer(5));
    }).toThrow(/dropped/);
    fence.admit(peer(6));
  });

  test('[EP2] a late drop of an older epoch does not touch the newer one', () => {
    const { fence } = fenceWith();
    fence.admit(peer(6));
    fence.drop(peer(5));
    fence.admit(peer(6));
    expect(() => {
      fence.see(peer(5));
    }).toThrow(/newer placement/);
  });

  test('[EP9] a drop that comes before its admission refuses it', () => {
    const { fence } = fenceWith();
    fence.drop(peer(5));
    expect(() => {
      fence.admit(peer(5));
    }).toThrow(/dropped/);
  });

  test('[EP9] forgets peers that left after a while and hosted ones never, and stays bounded', () => {
    const { fence, clock } = fenceWith((name) => name === 'hosted');
    fence.admit(peer(9, 'hosted'));
    fence.admit(peer(9, 'gone'));
    clock.advance(REMEMBER_MS + 1);
    fence.admit(peer(1, 'new'));
    expect(fence.size).toBe(2);
    expect(() => {
      fence.see(peer(8, 'hosted'));
    }).toThrow(/newer placement/);
    fence.see(peer(8, 'gone'));
    for (let index = 0; index < MAX_REMEMBERED + 100; index += 1) fence.see(peer(1, `n${index}`));
    expect(fence.size).toBeLessThanOrEqual(MAX_REMEMBERED + 1);
  });
});
