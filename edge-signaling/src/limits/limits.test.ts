import { ManualClock, TokenBucket } from '@plenary/cluster';
import { describe, expect, it } from 'vitest';
import { AddressLimits } from './address-limits.ts';

describe('TokenBucket', () => {
  it('[RL1] [RL9] gives a burst, then a steady rate, and never more than it holds', () => {
    const clock = new ManualClock();
    const bucket = new TokenBucket({ capacity: 10, refillPerSecond: 2 }, clock);
    expect(bucket.take(10)).toBe(true);
    expect(bucket.take(1)).toBe(false);
    clock.advance(500);
    expect(bucket.take(1)).toBe(true);
    expect(bucket.take(1)).toBe(false);
    clock.advance(3_600_000);
    expect(bucket.isFull()).toBe(true);
    expect(bucket.take(11)).toBe(false);
    expect(bucket.take(10)).toBe(true);
  });
});

describe('AddressLimits', () => {
  const limits = (clock = new ManualClock()) =>
    new AddressLimits({ sockets: 4, connectsPerSecond: 1 }, clock);

  it('[RL3] limits sockets at a time, and idle ones to half of them', () => {
    const subject = limits();
    const sockets = [subject.opened('a'), subject.opened('a')];
    expect(subject.judgeConnect('a')).toBe('too_many_idle');
    expect(subject.judgeConnect('b')).toBe('allowed');
    for (const socket of sockets) socket.joined();
    expect(subject.judgeConnect('a')).toBe('allowed');
    sockets.push(subject.opened('a'), subject.opened('a'));
    for (const socket of sockets) socket.joined();
    expect(subject.judgeConnect('a')).toBe('too_many_sockets');
    sockets[0]?.left();
    sockets[0]?.closed();
    sockets[0]?.closed();
    expect(subject.judgeConnect('a')).toBe('allowed');
  });

  it('[RL3] limits new sockets and guest tokens in a second', () => {
    const clock = new ManualClock();
    const subject = limits(clock);
    for (let index = 0; index < 10; index += 1) expect(subject.judgeConnect('a')).toBe('allowed');
    expect(subject.judgeConnect('a')).toBe('too_fast');
    clock.advance(1_000);
    expect(subject.judgeConnect('a')).toBe('allowed');
    const tokens = Array.from({ length: 11 }, () => subject.takeGuestToken('a'));
    expect(tokens.at(-1)).toBe(false);
  });

  it('[RL11] forgets an address that holds nothing', () => {
    const clock = new ManualClock();
    const subject = limits(clock);
    subject.judgeConnect('a');
    subject.opened('b');
    subject.forgetIdle();
    expect(subject.addressCount).toBe(2);
    clock.advance(60_000);
    subject.forgetIdle();
    expect(subject.addressCount).toBe(1);
  });
});
