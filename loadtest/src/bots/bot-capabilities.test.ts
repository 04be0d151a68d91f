import { RTP_CAPABILITIES, RTP_PARAMETERS } from '@plenary/cluster/protocol';
import { describe, expect, it } from 'vitest';
import { describeSending, receivingCapabilities } from './bot-capabilities.ts';

describe('receivingCapabilities', () => {
  const capabilities = RTP_CAPABILITIES.parse(receivingCapabilities());

  it('has Opus, VP8 and the retransmission of VP8 alone', () => {
    const [opus, vp8, rtx, ...others] = capabilities.codecs;
    expect([opus?.mimeType, vp8?.mimeType, rtx?.mimeType]).toEqual(['audio/opus', 'video/VP8', 'video/rtx']);
    expect(rtx?.parameters).toEqual({ apt: vp8?.preferredPayloadType });
    expect(others).toEqual([]);
  });

  it('leaves out extensions that only senders use', () => {
    const uris = capabilities.headerExtensions?.map(({ uri }) => uri);
    expect(uris).toContain('urn:ietf:params:rtp-hdrext:sdes:mid');
    expect(uris).not.toContain('urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id');
    expect(uris).not.toContain('urn:mediasoup:params:rtp-hdrext:packet-id');
  });
});

describe('describeSending', () => {
  const stream = { ssrc: 5, mid: '0', cname: 'bot' };

  it('describes audio with its level, and video without', () => {
    const audio = describeSending('audio', stream);
    const video = describeSending('video', stream);
    expect(RTP_PARAMETERS.parse(audio.rtpParameters)).toEqual(audio.rtpParameters);
    expect(RTP_PARAMETERS.parse(video.rtpParameters)).toEqual(video.rtpParameters);
    expect(audio.extensionIds.audioLevel).toBeTypeOf('number');
    expect(video.extensionIds.audioLevel).toBeUndefined();
    expect(audio.rtpParameters.codecs[0]?.mimeType).toBe('audio/opus');
    expect(video.rtpParameters.codecs[0]?.mimeType).toBe('video/VP8');
  });

  it('refuses a router without a codec that bots support', () => {
    expect(() => describeSending('video', stream, { codecs: [] })).toThrow('no video codec');
  });
});
