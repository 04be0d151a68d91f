import { ManualClock } from '@plenary/cluster';
import { describe, expect, it } from 'vitest';
import { TcpGate } from './tcp-gate.ts';

function gateOf(maxSockets: number, connectsPerSecond = 1) {
  const clock = new ManualClock();
  const gate = new TcpGate({ maxSockets, connectsPerSecond, clock });
  const judge = (times: number, address: string | undefined, sockets = 0) => {
    const verdicts = Array.from({ length: times }, () => gate.judge(address, sockets));
    const of = (wanted: string): number => verdicts.filter((verdict) => verdict === wanted).length;
    return {
      allowed: of('allowed'),
      full: of('connections_full'),
      ofAddress: of('connections_of_address'),
    };
  };
  return { clock, gate, judge };
}

describe('TcpGate', () => {
  it('[EN36] lets everybody in while few wait', () => {
    const { judge } = gateOf(1_000);
    expect(judge(250, '192.0.2.1')).toEqual({ allowed: 250, full: 0, ofAddress: 0 });
  });

  it('[EN36] lets in of one address what its limit allows while it is crowded, and others as before', () => {
    const { clock, gate, judge } = gateOf(1_000);
    judge(250, '192.0.2.1');
    expect(judge(50, '192.0.2.1')).toEqual({ allowed: 0, full: 0, ofAddress: 50 });
    expect(judge(12, '192.0.2.2')).toEqual({ allowed: 10, full: 0, ofAddress: 2 });
    expect(judge(20, '2001:db8::1').allowed).toBe(10);
    expect(judge(20, '2001:db8::2').allowed).toBe(0);
    expect(judge(50, undefined).allowed).toBe(50);
    clock.advance(5_000);
    for (let times = 0; times < 10; times += 1) gate.served('192.0.2.2');
    expect(judge(50, '192.0.2.2').allowed).toBe(5);
  });

  it('[EN36] leaves places free when a hundred addresses and ten sites take what they may', () => {
    const { judge } = gateOf(3_840, 100);
    for (let address = 0; address < 100; address += 1) judge(1_000, `192.0.2.${address}`);
    for (let site = 0; site < 10; site += 1)
      for (let network = 0; network < 50; network += 1) judge(100, `2001:db8:${site}:${network}::1`);
    // A page with its files, of somebody who was not there.
    expect(judge(6, '198.51.100.1')).toEqual({ allowed: 6, full: 0, ofAddress: 0 });
  });

  it('[EN37] does not hold against an address what was served or has ended by itself', () => {
    const { clock, gate, judge } = gateOf(1_000);
    judge(250, undefined);
    const address = '192.0.2.1';
    for (let times = 0; times < 2_000; times += 1) {
      expect(gate.judge(address, 0)).toBe('allowed');
      gate.served(address);
      gate.ended();
      clock.advance(1_000);
    }
    judge(250, '192.0.2.2');
    const { allowed } = judge(250, address);
    expect(allowed).toBe(10);
    clock.advance(20_000);
    expect(judge(10, address).allowed).toBe(10);
    // What is served twice makes nobody else's connection served.
    gate.served('192.0.2.200');
  });

  it('[EN37] counts one connection as served once, whatever it asks, where connections are told apart', () => {
    const { gate, judge } = gateOf(1_000, 1_000);
    const address = '192.0.2.1';
    judge(5, address);
    const connection = {};
    for (let times = 0; times < 100; times += 1) gate.served(address, connection);
    judge(245, undefined);
    // Four wait still, of the thirteen that may.
    expect(judge(20, address).allowed).toBe(9);
  });

  it('[EN36] gives an address no more than its share beyond what it had before, whatever its connections ask', () => {
    const { gate, judge } = gateOf(3_840, 10_000);
    const address = '192.0.2.1';
    judge(960, address);
    // One that is kept open asks without end, and nobody knows that it was the same one.
    for (let times = 0; times < 5_000; times += 1) gate.served(address);
    expect(gate.isCrowded()).toBe(true);
    let waiting = 960 + judge(1_000, address).allowed;
    const most = waiting;
    expect(most).toBeLessThanOrEqual(960 + Math.ceil((3_840 + 64 - 960) / 64));
    // From now on an answer closes its connection, and makes room for one.
    for (let times = 0; times < 950; times += 1) {
      gate.served(address);
      gate.ended();
      waiting += judge(1_000, address).allowed - 1;
      expect(waiting).toBeLessThanOrEqual(most);
    }
    expect(judge(6, '198.51.100.1')).toEqual({ allowed: 6, full: 0, ofAddress: 0 });
  });

  it('[EN12] holds no more than there may be sockets, and a few who are told so', () => {
    const { gate, judge } = gateOf(1_000);
    expect(judge(2_000, undefined)).toEqual({ allowed: 1_064, full: 936, ofAddress: 0 });
    gate.ended();
    expect(judge(2, undefined).allowed).toBe(1);
    expect(gateOf(1_000).judge(500, undefined, 900).allowed).toBe(164);
  });
});
