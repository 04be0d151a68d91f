import { writeRtpHeader } from '@plenary/cluster/testing/rtp-header';
import { ROUTER_RTP_CAPABILITIES } from '@plenary/cluster/protocol';
import type { DtlsParameters, MediaRequest, RtpParameters } from '@plenary/cluster';

let nextSsrc = 1_000;

/** RTP parameters as a browser would send them, with an SSRC that is unique per call. */
export function opusParameters(): RtpParameters {
  nextSsrc += 10;
  return {
    mid: String(nextSsrc),
    codecs: [{ mimeType: 'audio/opus', payloadType: 111, clockRate: 48_000, channels: 2 }],
    headerExtensions: [{ uri: 'urn:ietf:params:rtp-hdrext:ssrc-audio-level', id: 10 }],
    encodings: [{ ssrc: nextSsrc }],
    rtcp: { cname: `test-${nextSsrc}` },
  };
}

/** VP8 with RTX. */
export function vp8Parameters(): RtpParameters {
  nextSsrc += 10;
  return {
    mid: String(nextSsrc),
    codecs: [
      {
        mimeType: 'video/VP8',
        payloadType: 96,
        clockRate: 90_000,
        rtcpFeedback: [
          { type: 'nack' },
          { type: 'nack', parameter: 'pli' },
          { type: 'ccm', parameter: 'fir' },
        ],
      },
      { mimeType: 'video/rtx', payloadType: 97, clockRate: 90_000, parameters: { apt: 96 } },
    ],
    encodings: [{ ssrc: nextSsrc, rtx: { ssrc: nextSsrc + 1 } }],
    rtcp: { cname: `test-${nextSsrc}` },
  };
}

/** A fingerprint that nothing checks until DTLS runs, which it never does without a client. */
export const TEST_DTLS: DtlsParameters = {
  role: 'client',
  fingerprints: [{ algorithm: 'sha-256', value: Array.from({ length: 32 }, () => 'AB').join(':') }],
};

/** The media request of a publishing client, with a certificate made beforehand. */
export function mediaRequest(publish = true): MediaRequest {
  return {
    rtpCapabilities: ROUTER_RTP_CAPABILITIES,
    publish,
    dtls: { send: TEST_DTLS, receive: TEST_DTLS },
  };
}

/** A VP8 key frame of one packet, 500 bytes. */
export function vp8Packet(ssrc: number, sequence: number): Buffer {
  const header = { payloadType: 96, ssrc, sequence, timestamp: sequence * 900, isMarked: true };
  const packet = writeRtpHeader(Buffer.alloc(500), header);
  packet[12] = 0x10;
  packet[13] = 0x00;
  packet.set([0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00], 16);
  return packet;
}
