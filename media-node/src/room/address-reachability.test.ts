import { mintPeerId } from '@plenary/cluster';
import { describe, expect, it } from 'vitest';
import { ManualTimers } from '../testing/manual-timers.ts';
import { AddressReachability } from './address-reachability.ts';

const REST_MS = 30_000;

function reachOf(): {
  reach: AddressReachability;
  pass: (ms: number) => void;
  told: boolean[];
  miss: (network?: string) => void;
  missUnnamed: () => void;
} {
  const timers = new ManualTimers();
  let nowMs = 1_000;
  const told: boolean[] = [];
  const reach: AddressReachability = new AddressReachability({
    clock: { monotonicMs: () => nowMs },
    timers,
    changed: () => told.push(reach.isUnreached),
  });
  return {
    reach,
    told,
    pass: (ms) => {
      nowMs += ms;
      timers.advance(ms);
    },
    miss: (network = 'a') => reach.missed({ peerId: mintPeerId(), network }),
    missUnnamed: () => reach.missed({ peerId: mintPeerId(), network: undefined }),
  };
}

function prove(reach: AddressReachability, pass: (ms: number) => void): void {
  const somebody = {};
  reach.found(somebody);
  reach.left(somebody);
  pass(30_000);
}

describe('whether clients reach a node', () => {
  it('[HL7] two people without a path suffice, and the change is reported once', () => {
    const { reach, miss, told } = reachOf();
    miss();
    expect(reach.isUnreached).toBe(false);
    miss();
    miss();
    expect(reach.isUnreached).toBe(true);
    expect(told).toEqual([true]);
  });

  it('[HL26] one person does not suffice, however often they come', () => {
    const { reach } = reachOf();
    const peerId = mintPeerId();
    for (let time = 0; time < 20; time += 1) reach.missed({ peerId, network: `network ${time}` });
    expect(reach.isUnreached).toBe(false);
  });

  it('[HL27] failures do not count while a client is connected, or was recently', () => {
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

  it('[HL28] an address that was reached before is doubted when people of two networks find no path', () => {
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

  it('[HL29] unnamed networks do not count against an address that was reached before', () => {
    const { reach, miss, missUnnamed, pass } = reachOf();
    prove(reach, pass);
    missUnnamed();
    missUnnamed();
    miss('a');
    expect(reach.isUnreached).toBe(false);
  });

  it('[HL31] is sure after four networks for an address that was reached before, and after any two people for one that never was', () => {
    const { reach, miss, pass } = reachOf();
    miss();
    miss();
    expect(reach.isSurelyUnreached).toBe(true);
    prove(reach, pass);
    for (const network of ['a', 'b', 'c']) miss(network);
    expect([reach.isUnreached, reach.isSurelyUnreached]).toEqual([true, false]);
    miss('d');
    expect(reach.isSurelyUnreached).toBe(true);
    pass(REST_MS);
    expect([reach.isUnreached, reach.isSurelyUnreached]).toEqual([false, false]);
  });

  it('[HL35] many people of one network do not crowd out others', () => {
    const { reach, miss, pass } = reachOf();
    prove(reach, pass);
    for (let count = 0; count < 1_000; count += 1) miss('a');
    for (const network of ['b', 'c', 'd']) miss(network);
    expect(reach.isSurelyUnreached).toBe(true);
  });

  it('[HL33] two networks that return again and again cause thirty seconds each time, and never certainty', () => {
    const { reach, miss, pass, told } = reachOf();
    prove(reach, pass);
    for (let time = 0; time < 20; time += 1) {
      miss('a');
      expect(reach.isUnreached).toBe(false);
      miss('b');
      expect([reach.isUnreached, reach.isSurelyUnreached]).toEqual([true, false]);
      pass(REST_MS);
      expect(reach.isUnreached).toBe(false);
    }
    reach.found({});
    miss('a');
    miss('b');
    expect(told).toHaveLength(40);
  });

  it('[HL33] the node is tried again after a rest, which grows if two other networks fail too', () => {
    const { reach, miss, pass } = reachOf();
    const rests = [1, 2, 4, 8, 10, 10].map((times, index) => {
      miss(`network ${2 * index}`);
      expect(reach.isUnreached).toBe(false);
      miss(`network ${2 * index + 1}`);
      pass(times * REST_MS - 1);
      const wasUnreached = reach.isUnreached;
      pass(1);
      return [wasUnreached, reach.isUnreached];
    });
    expect(rests).toEqual(rests.map(() => [true, false]));
  });

  it('[HL34] a client that connects ends the rest', () => {
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
