import { describe, expect, it } from 'vitest';
import {
  clusterCapabilities,
  faultOfForwarded,
  faultOfOffer,
  faultOfPublication,
  passedOn,
  withExtensionsOf,
} from './judge-media.ts';
import { KIND_OF_SOURCE, DTLS_PARAMETERS, ICE_CANDIDATE, ICE_PARAMETERS } from './media.ts';
import type { TrackSource } from './media.ts';
import { ROUTER_RTP_CAPABILITIES } from './router-capabilities.generated.ts';
import {
  MID_EXTENSION as MID,
  PIPES_ONLY_EXTENSION,
  REPAIRED_RID_EXTENSION as REPAIRED_RID,
  RID_EXTENSION as RID,
  RTP_CAPABILITIES,
  RTP_HEADER_EXTENSION_URI,
  RTP_PARAMETERS,
} from './rtp.ts';

const AUDIO_LEVEL = 'urn:ietf:params:rtp-hdrext:ssrc-audio-level';
const ORIENTATION = 'urn:3gpp:video-orientation';
const OPUS = { mimeType: 'audio/opus', payloadType: 111, clockRate: 48_000, channels: 2 };
const VP8_CODEC = { mimeType: 'video/VP8', payloadType: 96, clockRate: 90_000 };
const VP9_CODEC = { ...VP8_CODEC, mimeType: 'video/VP9' };
const RTX = { mimeType: 'video/rtx', payloadType: 97, clockRate: 90_000, parameters: { apt: 96 } };
const h264 = (profile: string, mode: number) => ({
  ...VP8_CODEC,
  mimeType: 'video/H264',
  parameters: { 'packetization-mode': mode, 'profile-level-id': profile, 'level-asymmetry-allowed': 1 },
});
const sound = (changes: object = {}) => ({ mid: '0', codecs: [OPUS], encodings: [{ ssrc: 1 }], ...changes });
const picture = (changes: object = {}) => ({
  mid: '1',
  codecs: [VP8_CODEC, RTX],
  encodings: [{ ssrc: 1, rtx: { ssrc: 2 } }],
  ...changes,
});
const extensions = (...uris: string[]) => ({
  headerExtensions: uris.map((uri, index) => ({ uri, id: index + 1 })),
});
const LAYERS = ['r0', 'r1', 'r2'].map((rid) => ({ rid, scalabilityMode: 'L1T3' }));
const layers = (changes: object = {}) =>
  picture({ ...extensions(MID, RID, REPAIRED_RID), encodings: LAYERS, ...changes });

/**
 * The fault of a publication: `schema` if the parameters alone are malformed, a sentence if their parts do not fit,
 * `undefined` if there is none.
 */
function verdict(
  source: TrackSource,
  rtpParameters: unknown,
  kind = KIND_OF_SOURCE[source],
): string | undefined {
  const parsed = RTP_PARAMETERS.safeParse(rtpParameters);
  return parsed.success ? faultOfPublication({ kind, source, rtpParameters: parsed.data }) : 'schema';
}

describe('publications', () => {
  it('[MS3] parameters that browsers send are accepted', () => {
    const all: [TrackSource, unknown][] = [
      [
        'microphone',
        sound({ codecs: [{ ...OPUS, parameters: { minptime: 10, useinbandfec: 1, usedtx: 1 } }] }),
      ],
      ['screen-audio', sound({ rtcp: { cname: 'Ab+/c=', reducedSize: true }, msid: '- {a4c0-1}' })],
      // A browser that sends simulcast gives no cname.
      ['microphone', sound({ rtcp: { cname: '', reducedSize: true } })],
      ['camera', layers()],
      [
        'camera',
        picture({
          headerExtensions: [
            { uri: MID, id: 4 },
            { uri: ORIENTATION, id: 13 },
          ],
        }),
      ],
      ['screen', picture({ codecs: [VP8_CODEC], encodings: [{ ssrc: 1 }] })],
      [
        'camera',
        picture({ codecs: [VP9_CODEC, RTX], encodings: [{ ssrc: 1, scalabilityMode: 'L3T3_KEY' }] }),
      ],
      ['camera', picture({ codecs: [h264('42e01f', 1)], encodings: [{ ssrc: 1 }] })],
      ['camera', picture({ codecs: [h264('42c028', 1)], encodings: [{ ssrc: 1 }] })],
      ['camera', picture({ ...extensions(MID), encodings: undefined })],
      ['camera', picture({ ...extensions(MID), encodings: [{}] })],
      // A client without a mid sends this.
      ['camera', layers({ mid: undefined, ...extensions(RID) })],
      // Safari sends simulcast so: by SSRC, with whatever extensions its session has.
      ['camera', picture({ encodings: [1, 3, 5].map((ssrc) => ({ ssrc, rtx: { ssrc: ssrc + 1 } })) })],
      // Some clients give a rid to a single encoding.
      ['camera', picture({ encodings: [{ ssrc: 1, rtx: { ssrc: 2 }, rid: 'r0' }] })],
    ];
    for (const [source, parameters] of all)
      expect(verdict(source, parameters), JSON.stringify(parameters)).toBeUndefined();
  });

  it('[MS2] strings that would reach the SDP of others are refused', () => {
    const crlf = '1\r\na=evil:1';
    for (const parameters of [
      sound({ mid: crlf }),
      sound({ mid: 'a b' }),
      sound({ rtcp: { cname: crlf } }),
      sound({ rtcp: { cname: 'a b' } }),
      sound({ msid: crlf }),
      sound({ msid: 'a b c' }),
      sound({ encodings: [{ rid: crlf }] }),
      sound({ encodings: [{ rid: 'a-b' }] }),
      sound({ codecs: [{ ...OPUS, mimeType: crlf }] }),
      sound({ codecs: [{ ...OPUS, parameters: { usedtx: crlf } }] }),
      sound({ codecs: [{ ...OPUS, rtcpFeedback: [{ type: crlf }] }] }),
      sound({ codecs: [{ ...OPUS, rtcpFeedback: [{ type: 'nack', parameter: crlf }] }] }),
      sound({ headerExtensions: [{ uri: crlf, id: 1 }] }),
      picture({ codecs: [{ ...VP8_CODEC, parameters: { 'max-fr': crlf } }] }),
      picture({ codecs: [h264(crlf, 1)] }),
      picture({ encodings: [{ ssrc: 1, scalabilityMode: crlf }] }),
    ]) {
      expect(verdict('microphone', parameters), JSON.stringify(parameters)).toBe('schema');
    }
  });

  it('[MS19] settings that no codec has are dropped, and those out of range refused', () => {
    const odd = { ...OPUS, parameters: { usedtx: 1, 'x-evil': 'a\r\nb', maxaveragebitrate: 64_000 } };
    expect(RTP_PARAMETERS.parse(sound({ codecs: [odd] })).codecs[0]?.parameters).toEqual({
      usedtx: 1,
      maxaveragebitrate: 64_000,
    });
    for (const parameters of [
      { usedtx: 2 },
      { usedtx: true },
      { usedtx: '1' },
      { maxplaybackrate: 1 },
      { ptime: 1e9 },
      { maxaveragebitrate: 1 },
    ]) {
      expect(verdict('microphone', sound({ codecs: [{ ...OPUS, parameters }] }))).toBe('schema');
    }
    expect(verdict('camera', picture({ codecs: [{ ...VP9_CODEC, parameters: { 'profile-id': 9 } }] }))).toBe(
      'schema',
    );
  });

  it('[MS3] each kind of false statement gets its own error', () => {
    const lies: [string, TrackSource, unknown, ('audio' | 'video')?][] = [
      ['is not', 'microphone', sound(), 'video'],
      ['is not', 'screen-audio', picture(), 'video'],
      ['is not', 'camera', sound(), 'audio'],
      ['video/VP8 is not audio', 'microphone', sound({ codecs: [VP8_CODEC] })],
      ['audio/opus is not video', 'camera', picture({ codecs: [OPUS] })],
      ['schema', 'camera', picture({ codecs: [{ ...VP8_CODEC, mimeType: 'video/AV1' }] })],
      ['schema', 'microphone', sound({ codecs: [{ ...OPUS, mimeType: 'audio/PCMU', clockRate: 8_000 }] })],
      ['schema', 'microphone', sound({ codecs: [{ ...OPUS, clockRate: 8_000 }] })],
      ['schema', 'microphone', sound({ codecs: [{ ...OPUS, channels: 1 }] })],
      ['schema', 'microphone', sound({ codecs: [] })],
      ['no codec but', 'camera', picture({ codecs: [RTX] })],
      ['one codec', 'camera', picture({ codecs: [VP8_CODEC, { ...VP9_CODEC, payloadType: 98 }] })],
      ['one codec', 'camera', picture({ codecs: [VP8_CODEC, RTX, { ...RTX, payloadType: 98 }] })],
      ['one codec', 'microphone', sound({ codecs: [OPUS, { ...OPUS, payloadType: 112 }] })],
      ['another codec', 'camera', picture({ codecs: [VP8_CODEC, { ...RTX, parameters: { apt: 98 } }] })],
      ['one payload type', 'camera', picture({ codecs: [VP8_CODEC, { ...RTX, payloadType: 96 }] })],
      ['no retransmission', 'microphone', sound({ codecs: [OPUS, { ...RTX, parameters: { apt: 111 } }] })],
      ['without a codec for it', 'camera', picture({ codecs: [VP8_CODEC] })],
      ['profile 0', 'camera', picture({ codecs: [{ ...VP9_CODEC, parameters: { 'profile-id': 2 } }] })],
      ['packetization mode', 'camera', picture({ codecs: [h264('42e01f', 0)] })],
      ['baseline', 'camera', picture({ codecs: [h264('640c1f', 1)] })],
      [
        'schema',
        'camera',
        picture({ encodings: Array.from({ length: 20 }, (_, index) => ({ rid: `r${index}` })) }),
      ],
      ['one encoding', 'microphone', sound({ encodings: [{ ssrc: 1 }, { ssrc: 2 }] })],
      ['no layers', 'microphone', sound({ encodings: [{ ssrc: 1, rid: 'r0' }] })],
      ['no layers', 'microphone', sound({ encodings: [{ ssrc: 1, scalabilityMode: 'L1T3' }] })],
      ['one SSRC', 'camera', picture({ encodings: [{ ssrc: 1 }, { ssrc: 1 }] })],
      ['one SSRC', 'camera', picture({ encodings: [{ ssrc: 1, rtx: { ssrc: 1 } }] })],
      ['one rid', 'camera', picture({ encodings: [{ rid: 'a' }, { rid: 'a' }] })],
      ['told apart', 'camera', picture({ encodings: [{ rid: 'a' }, { ssrc: 1 }] })],
      ['told apart', 'camera', layers({ encodings: [{ rid: 'a' }, {}] })],
      ['Nothing tells', 'camera', picture({ mid: undefined, encodings: [{}] })],
      ['without the header extension', 'camera', layers({ headerExtensions: undefined })],
      ['without the header extension', 'camera', layers(extensions(MID, REPAIRED_RID))],
      // Another camera may have the same rid.
      ['without the header extension', 'camera', layers(extensions(RID, REPAIRED_RID))],
      ['without the header extension', 'camera', picture({ ...extensions(MID), encodings: [{ rid: 'a' }] })],
      ['without the header extension', 'camera', picture({ encodings: undefined })],
      ['without the header extension', 'camera', picture({ encodings: [{}] })],
      ['without the header extension', 'microphone', sound({ encodings: [] })],
      ['in one way', 'camera', layers({ encodings: [{ rid: 'a', ssrc: 1 }, { rid: 'b' }] })],
      [
        'its stream has none',
        'camera',
        layers({ encodings: [{ rid: 'a', rtx: { ssrc: 2 } }, { rid: 'b' }] }),
      ],
      ['its stream has none', 'camera', picture({ ...extensions(MID), encodings: [{ rtx: { ssrc: 2 } }] })],
      ['rids of retransmissions', 'camera', layers({ codecs: [VP8_CODEC] })],
      [
        'rids of retransmissions',
        'camera',
        picture({ ...extensions(REPAIRED_RID), codecs: [VP8_CODEC], encodings: [{ ssrc: 1 }] }),
      ],
      ['another payload type', 'camera', picture({ encodings: [{ ssrc: 1, codecPayloadType: 100 }] })],
      ['too much', 'camera', picture({ encodings: [{ ssrc: 1, maxBitrate: 90_000_000 }] })],
      ['too much', 'microphone', sound({ encodings: [{ ssrc: 1, maxBitrate: 600_000 }] })],
      ['schema', 'camera', picture({ encodings: [{ ssrc: 1, maxBitrate: 0 }] })],
      ['schema', 'camera', picture({ encodings: [{ ssrc: 0 }] })],
      ['schema', 'camera', picture({ encodings: [{ ssrc: 2 ** 32 }] })],
      ['schema', 'camera', picture({ codecs: [{ ...VP8_CODEC, payloadType: 72 }] })],
      ['schema', 'camera', picture({ codecs: [{ ...VP8_CODEC, payloadType: 0 }] })],
      ['no L3T3', 'camera', picture({ encodings: [{ ssrc: 1, scalabilityMode: 'L3T3' }] })],
      [
        'no L2T1',
        'camera',
        picture({
          codecs: [VP9_CODEC],
          ...extensions(MID, RID),
          encodings: [{ rid: 'a', scalabilityMode: 'L2T1' }, { rid: 'b' }],
        }),
      ],
      ['schema', 'camera', picture({ encodings: [{ ssrc: 1, scalabilityMode: 'S3T3' }] })],
      ['no extension of audio', 'microphone', sound({ headerExtensions: [{ uri: ORIENTATION, id: 1 }] })],
      ['no extension of video', 'camera', picture({ headerExtensions: [{ uri: AUDIO_LEVEL, id: 1 }] })],
      [
        'one id',
        'microphone',
        sound({
          headerExtensions: [
            { uri: MID, id: 1 },
            { uri: AUDIO_LEVEL, id: 1 },
          ],
        }),
      ],
      [
        'twice',
        'microphone',
        sound({
          headerExtensions: [
            { uri: MID, id: 1 },
            { uri: MID, id: 2 },
          ],
        }),
      ],
      ['not encrypted', 'microphone', sound({ headerExtensions: [{ uri: MID, id: 1, encrypt: true }] })],
      ...[0, 15, 256].map((id): [string, TrackSource, unknown] => [
        'schema',
        'microphone',
        sound({ headerExtensions: [{ uri: MID, id }] }),
      ]),
    ];
    for (const [expected, source, parameters, kind] of lies) {
      expect(verdict(source, parameters, kind), JSON.stringify(parameters)).toContain(expected);
    }
  });

  it('[MS20] a media node forwards no name that the sender chose', () => {
    const sent = RTP_PARAMETERS.parse(
      picture({
        msid: 'a b',
        rtcp: { cname: 'mine' },
        codecs: [{ ...VP8_CODEC, rtcpFeedback: [{ type: 'nack', parameter: 'pli' }, { type: 'evil' }] }, RTX],
        headerExtensions: [{ uri: MID, id: 4, parameters: { a: 'b' } }],
      }),
    );
    expect(passedOn(sent, 'peer-1')).toEqual({
      mid: '1',
      codecs: [
        { ...VP8_CODEC, parameters: {}, rtcpFeedback: [{ type: 'nack', parameter: 'pli' }] },
        { ...RTX, rtcpFeedback: [] },
      ],
      headerExtensions: [{ uri: MID, id: 4 }],
      encodings: [{ ssrc: 1, rtx: { ssrc: 2 } }],
      rtcp: { cname: 'peer-1', reducedSize: true },
    });
  });

  it('[WK11] a media node forwards an encoding with an SSRC without its rid', () => {
    const encodings = [
      { ssrc: 1, rid: 'a', rtx: { ssrc: 2 } },
      { ssrc: 3, rid: 'b' },
    ];
    const passed = (sent: unknown): unknown => passedOn(RTP_PARAMETERS.parse(sent), 'peer-1').encodings;
    expect(passed(layers({ encodings }))).toEqual([{ ssrc: 1, rtx: { ssrc: 2 } }, { ssrc: 3 }]);
    expect(passed(layers({ encodings: [{ rid: 'a' }, { rid: 'b' }] }))).toEqual([{ rid: 'a' }, { rid: 'b' }]);
  });

  it('[MS21] a media node forwards only the codec settings that decoders use, so that viewers get few forms of offers', () => {
    const settings = (parameters: unknown): unknown => {
      const passed = passedOn(RTP_PARAMETERS.parse(parameters), 'peer-1');
      return passed.codecs.map((codec) => codec.parameters ?? {});
    };
    const flags = { useinbandfec: 1, usedtx: 1, stereo: 0, 'sprop-stereo': 1 };
    const numbers = { minptime: 3, ptime: 120, maxptime: 120, maxplaybackrate: 8_000, cbr: 1 };
    const more = { 'sprop-maxcapturerate': 8_000, maxaveragebitrate: 510_000 };
    const sent = { ...OPUS, parameters: { ...flags, ...numbers, ...more } };
    expect(settings(sound({ codecs: [sent] }))).toEqual([flags]);
    const odd = { 'max-fr': 7, 'max-fs': 7 };
    const retransmission = { ...RTX, parameters: { apt: 96, 'rtx-time': 7 } };
    expect(settings(picture({ codecs: [{ ...VP8_CODEC, parameters: odd }, retransmission] }))).toEqual([
      {},
      { apt: 96 },
    ]);
    expect(settings(picture({ codecs: [{ ...VP9_CODEC, parameters: odd }] }))).toEqual([{}]);
    // The settings are the routers', whatever level and name the sender chose.
    for (const named of ['42e033', '4d8029', '58c00b'])
      expect(settings(picture({ codecs: [h264(named, 1)] }))).toEqual([h264('42e01f', 1).parameters]);
  });

  it('[MS22] parameters from a pipe and offers are checked too, with the layers that mediasoup writes', () => {
    const layered = RTP_PARAMETERS.parse(
      picture({ encodings: [{ ssrc: 1, rtx: { ssrc: 2 }, scalabilityMode: 'L3T3' }] }),
    );
    expect(faultOfForwarded('video', layered)).toBeUndefined();
    expect(faultOfForwarded('audio', layered)).toContain('is not audio');
    const piped = RTP_PARAMETERS.parse(
      sound({
        headerExtensions: [
          { uri: AUDIO_LEVEL, id: 1 },
          { uri: ORIENTATION, id: 7 },
        ],
      }),
    );
    expect(faultOfForwarded('audio', piped)).toContain('no extension');
    expect(faultOfForwarded('audio', withExtensionsOf('audio', piped))).toBeUndefined();
  });
});

describe('offers', () => {
  it('[MS28] have the numbers of the routers', () => {
    const offered = (payloadType: number, id: number) =>
      faultOfOffer(
        'audio',
        RTP_PARAMETERS.parse(
          sound({ codecs: [{ ...OPUS, payloadType }], headerExtensions: [{ uri: AUDIO_LEVEL, id }] }),
        ),
      );
    expect(offered(100, 6)).toBeUndefined();
    expect(offered(111, 6)).toContain('payload type');
    expect(offered(100, 4)).toContain('another id');
  });
});

describe('the cluster’s own', () => {
  it('[MS19] capabilities fit their schema, and each of their extensions is known', () => {
    expect(RTP_CAPABILITIES.parse(ROUTER_RTP_CAPABILITIES)).toEqual(ROUTER_RTP_CAPABILITIES);
    const uris = new Set<string>(ROUTER_RTP_CAPABILITIES.headerExtensions?.map(({ uri }) => uri));
    expect(uris.add(PIPES_ONLY_EXTENSION)).toEqual(new Set(RTP_HEADER_EXTENSION_URI.options));
    expect(clusterCapabilities(ROUTER_RTP_CAPABILITIES)).toEqual(ROUTER_RTP_CAPABILITIES);
  });

  it('[MS19] a client may know more codecs than the cluster', () => {
    const av1 = {
      kind: 'video',
      mimeType: 'video/AV1',
      preferredPayloadType: 45,
      clockRate: 90_000,
    } as const;
    const more = RTP_CAPABILITIES.parse({ codecs: [...ROUTER_RTP_CAPABILITIES.codecs, av1] });
    expect(clusterCapabilities(more).codecs).toEqual(ROUTER_RTP_CAPABILITIES.codecs);
  });
});

describe('transports', () => {
  it('[MS2] a fingerprint has the bytes of its hash', () => {
    const value = (bytes: number) => Array.from({ length: bytes }, () => 'aB').join(':');
    const fits = (algorithm: string, of: string) =>
      DTLS_PARAMETERS.safeParse({ fingerprints: [{ algorithm, value: of }] }).success;
    expect(fits('sha-256', value(32))).toBe(true);
    expect(fits('sha-1', value(20))).toBe(true);
    for (const bad of [value(31), value(33), `${value(32)}\r\na=x`, 'AB', value(32).replaceAll(':', '')]) {
      expect(fits('sha-256', bad)).toBe(false);
    }
    expect(fits('md5', value(16))).toBe(false);
  });

  it('[MS2] ICE holds characters of ICE', () => {
    const ice = (usernameFragment: string, password: string) =>
      ICE_PARAMETERS.safeParse({ usernameFragment, password }).success;
    expect(ice('abcd', 'a'.repeat(22))).toBe(true);
    for (const [ufrag, password] of [
      ['abc', 'a'.repeat(22)],
      ['ab d', 'a'.repeat(22)],
      ['abcd', 'a'.repeat(21)],
      ['abcd\r\n', 'a'.repeat(22)],
      ['abcd', `${'a'.repeat(22)}-`],
    ] as const) {
      expect(ice(ufrag, password)).toBe(false);
    }
    const candidate = {
      foundation: 'udp1',
      priority: 1,
      ip: '::1',
      address: 'node.example',
      protocol: 'udp',
      port: 1,
      type: 'host',
    };
    expect(ICE_CANDIDATE.safeParse(candidate).success).toBe(true);
    for (const change of [{ foundation: 'a b' }, { ip: '1 2' }, { address: 'a\r\nb' }]) {
      expect(ICE_CANDIDATE.safeParse({ ...candidate, ...change }).success).toBe(false);
    }
  });
});
