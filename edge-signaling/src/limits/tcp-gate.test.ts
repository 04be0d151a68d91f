import { ManualClock } from '@plenary/cluster';
import { describe, expect, it } from 'vitest';
import { TcpGate } from './tcp-gate.ts';

function gateOf(maxSockets: number) {
  const clock = new ManualClock();
  const gate = new TcpGate({ maxSockets, connectsPerSecond: 1, clock });
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
  it('[EN12] lets everybody in while few wait', () => {
    const { judge } = gateOf(1_000);
    expect(judge(250, '192.0.2.1')).toEqual({ allowed: 250, full: 0, ofAddress: 0 });
  });

  it('[EN12] lets in of one address what its limit allows while it is crowded, and others as before', () => {
    const { clock, judge } = gateOf(1_000);
    judge(250, '192.0.2.1');
    expect(judge(50, '192.0.2.1')).toEqual({ allowed: 0, full: 0, ofAddress: 50 });
    expect(judge(12, '192.0.2.2')).toEqual({ allowed: 10, full: 0, ofAddress: 2 });
    expect(judge(20, '2001:db8::1').allowed).toBe(10);
    expect(judge(20, '2001:db8::2').allowed).toBe(0);
    expect(judge(50, undefined).allowed).toBe(50);
    clock.advance(5_000);
    expect(judge(50, '192.0.2.1').allowed).toBe(5);
  });

  it('[EN12] holds no more than there may be sockets, and a few who are told so', () => {
    const { gate, judge } = gateOf(1_000);
    expect(judge(2_000, undefined)).toEqual({ allowed: 1_064, full: 936, ofAddress: 0 });
    gate.ended();
    expect(judge(2, undefined).allowed).toBe(1);
    expect(gateOf(1_000).judge(500, undefined, 900).allowed).toBe(164);
  });
});
