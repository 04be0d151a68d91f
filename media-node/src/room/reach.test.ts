import { mintPeerId } from '@plenary/cluster';
import { describe, expect, it } from 'vitest';
import { ManualTimers } from '../testing/manual-timers.ts';
import { Reach } from './reach.ts';

const REST_MS = 30_000;

function reachOf(): {
  reach: Reach;
  pass: (ms: number) => void;
  told: boolean[];
  miss: (network?: string) => void;
} {
  const timers = new ManualTimers();
  let nowMs = 1_000;
  const told: boolean[] = [];
  const reach = new Reach({
    clock: { monotonicMs: () => nowMs },
    timers,
    changed: (isUnreached) => told.push(isUnreached),
  });
  return {
    reach,
    told,
    pass: (ms) => {
      nowMs += ms;
      timers.advance(ms);
    },
    miss: (network = 'a') => reach.missed({ peerId: mintPeerId(), network }),
  };
}

describe('whether anybody reaches a node', () => {
  it('[HL7] two people without a path show it, and it is told once', () => {
    const { reach, miss, told } = reachOf();
    miss();
    expect(reach.isUnreached).toBe(false);
    miss();
    miss();
    expect(reach.isUnreached).toBe(true);
    expect(told).toEqual([true]);
  });

  it('[HL7] one person decides nothing, however often they come', () => {
    const { reach } = reachOf();
    const peerId = mintPeerId();
    for (let time = 0; time < 20; time += 1) reach.missed({ peerId, network: `network ${time}` });
    expect(reach.isUnreached).toBe(false);
  });

  it('[HL7] nobody decides anything while somebody is connected, or was lately', () => {
    const { reach, miss, pass } = reachOf();
    const somebody = {};
    reach.found(somebody);
    pass(600_000);
    miss('a');
    miss('b');
    reach.left(somebody);
    miss('c');
    miss('d');
    expect(reach.isUnreached).toBe(false);
  });

  it('[HL7] an address that has proved good is doubted when people of two networks find no path', () => {
    const { reach, miss, pass } = reachOf();
    const somebody = {};
    reach.found(somebody);
    reach.left(somebody);
    pass(30_000);
    for (let count = 0; count < 20; count += 1) miss('a');
    expect(reach.isUnreached).toBe(false);
    miss('b');
    expect(reach.isUnreached).toBe(true);
  });

  it('[HL7] it is used again after a rest, longer each time, and for good when somebody gets through', () => {
    const { reach, miss, pass, told } = reachOf();
    miss();
    miss();
    pass(REST_MS - 1);
    expect(reach.isUnreached).toBe(true);
    pass(1);
    expect(reach.isUnreached).toBe(false);
    miss();
    expect(reach.isUnreached).toBe(true);
    pass(REST_MS);
    expect(reach.isUnreached).toBe(true);
    pass(REST_MS);
    expect(reach.isUnreached).toBe(false);
    reach.found({});
    miss();
    miss('b');
    expect(told).toEqual([true, false, true, false]);
  });

  it('[HL7] somebody who gets through all the same ends the rest', () => {
    const { reach, miss, pass, told } = reachOf();
    miss();
    miss();
    const somebody = {};
    reach.found(somebody);
    expect(reach.isUnreached).toBe(false);
    pass(REST_MS);
    expect(told).toEqual([true, false]);
  });
});
