import { describe, expect, it } from 'vitest';
import { isRtcp, keyFramesAskedFor, readRtpSsrc, writeRtp } from './rtp-packet.ts';

const packet = {
  payloadType: 101,
  marker: true,
  sequenceNumber: 0x1_0002,
  timestamp: 0x1_0000_0003,
  ssrc: 0xdead_beef,
  extensions: [],
  payload: Uint8Array.of(1, 2, 3),
};

describe('RTP', () => {
  it('writes the fixed header and wraps its counters', () => {
    expect(writeRtp(packet).toString('hex')).toBe('80e5' + '0002' + '00000003' + 'deadbeef' + '010203');
  });

  it('writes header extensions in the one-byte form, padded to words', () => {
    const written = writeRtp({
      ...packet,
      extensions: [
        { id: 1, data: Buffer.from('0') },
        { id: 6, data: Uint8Array.of(0x85) },
        { id: 4, data: Uint8Array.of(7, 8, 9) },
      ],
    });
    expect(written.subarray(12).toString('hex')).toBe('bede0002' + '1030' + '6085' + '42070809' + '010203');
    expect(written[0]).toBe(0x90);
  });

  it('refuses an extension that does not fit into the one-byte form', () => {
    expect(() => writeRtp({ ...packet, extensions: [{ id: 15, data: Uint8Array.of(1) }] })).toThrow(
      RangeError,
    );
    expect(() => writeRtp({ ...packet, extensions: [{ id: 1, data: new Uint8Array(17) }] })).toThrow(
      RangeError,
    );
  });

  it('reads the SSRC of RTP, and recognises RTCP', () => {
    expect(readRtpSsrc(writeRtp(packet))).toBe(0xdead_beef);
    const senderReport = Buffer.from('80c8000611111111' + '00'.repeat(20), 'hex');
    expect(isRtcp(senderReport)).toBe(true);
    expect(readRtpSsrc(senderReport)).toBeUndefined();
    expect(readRtpSsrc(Buffer.from([0x80]))).toBeUndefined();
  });

  it('finds PLI and FIR in a compound packet, and nothing in a malformed one', () => {
    const receiverReport = '80c9000100000001';
    const pli = '81ce000200000001' + '0000000a';
    const fir = '84ce000600000001' + '00000000' + '0000000b01000000' + '0000000c02000000';
    expect(keyFramesAskedFor(Buffer.from(receiverReport + pli + fir, 'hex'))).toEqual([10, 11, 12]);
    expect(keyFramesAskedFor(Buffer.from(receiverReport, 'hex'))).toEqual([]);
    expect(keyFramesAskedFor(Buffer.from(pli, 'hex').subarray(0, 9))).toEqual([]);
  });
});
