import { describe, expect, it } from 'vitest';
import { RtpSource } from './rtp-source.ts';

const VIDEO = {
  kind: 'video',
  payloadType: 101,
  ssrc: 7,
  clockRate: 90_000,
  intervalMs: 100,
  extensionIds: { mid: 1 },
  mid: '1',
} as const;
const AUDIO = { ...VIDEO, kind: 'audio', payloadType: 100, clockRate: 48_000, intervalMs: 20 } as const;

/** Bit 0 of the first byte behind the payload descriptor is 0 in a key frame (RFC 7741, 4.3). */
const isKeyFrame = (packet: Buffer): boolean => {
  const payload = packet.subarray(12 + 4 + packet.readUInt16BE(14) * 4);
  return ((payload[1] ?? 1) & 1) === 0;
};

describe('RtpSource', () => {
  it('numbers packets consecutively and advances the time by the interval', () => {
    const source = new RtpSource(VIDEO);
    const [first, second] = [source.next(), source.next()];
    expect((second.readUInt16BE(2) - first.readUInt16BE(2)) & 0xffff).toBe(1);
    expect((second.readUInt32BE(4) - first.readUInt32BE(4)) >>> 0).toBe(9_000);
  });

  it('begins with a key frame, and sends another one on request', () => {
    const source = new RtpSource(VIDEO);
    expect([1, 2, 3].map(() => isKeyFrame(source.next()))).toEqual([true, false, false]);
    source.restart();
    expect(isKeyFrame(source.next())).toBe(true);
  });

  it('fills small pictures up to a given size', () => {
    const source = new RtpSource({ ...VIDEO, payloadBytes: 1_000 });
    const lengths = [1, 2, 3].map(() => source.next().length);
    const headers = 12 + 4 + 4;
    expect(lengths.every((length) => length >= 1_000 + headers)).toBe(true);
    expect(lengths[1]).toBe(1_000 + headers);
  });

  it('marks a tone as loud and silence as silent', () => {
    const levelOf = (sound: 'tone' | 'silence'): number | undefined =>
      new RtpSource({ ...AUDIO, sound, extensionIds: { audioLevel: 6 } }).next()[17];
    expect(levelOf('tone')).toBe(0x80 | 12);
    expect(levelOf('silence')).toBe(127);
  });
});
