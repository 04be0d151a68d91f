/** The extremes that the schemas allow: they reach every browser, and may cost it no more than that one track. */
import { randomUUID } from 'node:crypto';
import { ROUTER_RTP_CAPABILITIES } from '@plenary/cluster/protocol';
import type { Attack } from '../attack.ts';
import { repeatUntil } from '../attack.ts';
import { camera, microphone, OPUS, Stranger, VP8 } from '../stranger.ts';

/** How many tracks exist at a time, so that each reaches the browsers before it ends. */
const AT_ONCE = 4;
const TOKEN_OF_32 = "!#$%&'*+-.^_`{|}~0123456789abcde";
const RTX = { mimeType: 'video/rtx', payloadType: 102, clockRate: 90_000, parameters: { apt: 101 } };
const VP9 = { ...VP8, mimeType: 'video/VP9' };
const h264 = (profile: string) => ({
  ...VP8,
  mimeType: 'video/H264',
  parameters: { 'packetization-mode': 1, 'level-asymmetry-allowed': 1, 'profile-level-id': profile },
});

type Publication = Readonly<Record<string, unknown>>;

/** All header extensions of a kind, under these ids. */
function extensions(kind: 'audio' | 'video', idOf: (index: number) => number): unknown[] {
  const uris = (ROUTER_RTP_CAPABILITIES.headerExtensions ?? []).filter((known) => known.kind === kind);
  return uris.map(({ uri }, index) => ({ uri, id: idOf(index) }));
}

/** A screen has the parameters of a camera, and its sound those of a microphone. */
const screen = (rtp: Publication): Publication => ({ ...camera(rtp), source: 'screen' });
const screenAudio = (rtp: Publication): Publication => ({ ...microphone(rtp), source: 'screen-audio' });

/** Without these extensions no packet names its layer. */
const NAMED = [
  { uri: 'urn:ietf:params:rtp-hdrext:sdes:mid', id: 1 },
  { uri: 'urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id', id: 2 },
];

function encodingsAtTheEdge(stranger: Stranger): readonly Publication[] {
  const [another] = stranger.joined.media.consumers;
  const [theirs] = another?.rtpParameters?.encodings ?? [];
  const layers = (more: Publication = {}): unknown[] =>
    ['a', 'b', 'c'].map((letter) => ({ rid: letter.repeat(16), scalabilityMode: 'L1T3', ...more }));
  return [
    camera({
      headerExtensions: NAMED,
      encodings: layers({ maxBitrate: 12_000_000, dtx: true, codecPayloadType: 101 }),
    }),
    screen({ headerExtensions: NAMED, encodings: layers({ scalabilityMode: 'L1T3_KEY', maxBitrate: 1 }) }),
    camera({ codecs: [VP9, RTX], encodings: [{ ssrc: 9, rtx: { ssrc: 10 }, scalabilityMode: 'L3T3_KEY' }] }),
    camera({ codecs: [VP9], headerExtensions: NAMED, encodings: layers() }),
    camera({
      codecs: [VP8, RTX],
      encodings: [1, 3, 0xffff_fffe].map((ssrc) => ({ ssrc, rtx: { ssrc: ssrc + 1 } })),
    }),
    camera({ mid: TOKEN_OF_32, headerExtensions: NAMED, encodings: [] }),
    camera({ mid: TOKEN_OF_32, headerExtensions: NAMED, encodings: undefined }),
    // No packet could be assigned to these layers.
    camera({ encodings: layers() }),
    camera({ mid: TOKEN_OF_32, encodings: [] }),
    camera({ headerExtensions: NAMED, encodings: [{ rid: 'a', ssrc: 11 }, { rid: 'b' }] }),
    microphone({ mid: '~', encodings: [{ ssrc: 0xffff_ffff, maxBitrate: 510_000, dtx: true }] }),
    microphone({ encodings: [{ ssrc: 0 }] }),
    microphone({ encodings: [{ ssrc: 0x1_0000_0000 }] }),
    // These are another publisher's SSRCs and mid, as far as a client can know them.
    microphone({ encodings: [{ ssrc: theirs?.ssrc ?? 1 }], mid: another?.rtpParameters?.mid ?? '0' }),
    camera({
      codecs: [VP8, RTX],
      encodings: [{ ssrc: theirs?.rtx?.ssrc ?? 2, rtx: { ssrc: theirs?.ssrc ?? 3 } }],
    }),
    // These are its own earlier mids, which may still exist.
    microphone({ mid: '~' }),
    screen({ headerExtensions: NAMED, encodings: layers() }),
    microphone({ mid: '0' }),
    camera({ mid: 'probator', encodings: [{ ssrc: 1_234 }] }),
    microphone({ mid: 'ahead', encodings: [{ ssrc: 1 }] }),
  ];
}

const CODECS_AT_THE_EDGE = (): readonly Publication[] => [
  ...[35, 63, 96, 127].map((payloadType) => microphone({ codecs: [{ ...OPUS, payloadType }] })),
  ...[0, 34, 64, 95, 128].map((payloadType) => microphone({ codecs: [{ ...OPUS, payloadType }] })),
  microphone({
    codecs: [
      {
        ...OPUS,
        parameters: {
          minptime: 120,
          ptime: 3,
          maxptime: 3,
          maxplaybackrate: 8_000,
          'sprop-maxcapturerate': 8_000,
          maxaveragebitrate: 6_000,
          stereo: 1,
          'sprop-stereo': 1,
          cbr: 1,
          useinbandfec: 0,
          usedtx: 0,
        },
      },
    ],
  }),
  screenAudio({ codecs: [{ ...OPUS, parameters: { 'sprop-stereo': 0, stereo: 1, usedtx: 1 } }] }),
  camera({ codecs: [{ ...VP8, parameters: { 'max-fr': 240, 'max-fs': 1_000_000 } }] }),
  camera({ codecs: [{ ...VP9, parameters: { 'max-fr': 1, 'max-fs': 1, 'profile-id': 0 } }] }),
  camera({ codecs: [{ ...VP9, parameters: { 'profile-id': 3 } }] }),
  ...['42e009', '42e03e', '42c00a', '4d8029', '4d8f3e', '58c03e', '42001f', '640c1f', '000000'].map(
    (profile) => camera({ codecs: [h264(profile)] }),
  ),
  camera({ codecs: [VP8, { ...RTX, parameters: {} }] }),
  camera({ codecs: [VP8, { ...RTX, parameters: { apt: 102 } }] }),
  camera({ codecs: [VP8, { ...RTX, payloadType: 101 }] }),
  camera({ codecs: [VP8, { ...RTX, parameters: { apt: 101, 'rtx-time': 60_000 } }] }),
  camera({ codecs: [RTX] }),
  camera({
    codecs: [{ ...VP8, rtcpFeedback: Array.from({ length: 16 }, () => ({ type: 'x'.repeat(32) })) }],
  }),
];

const EXTENSIONS_AT_THE_EDGE = (): readonly Publication[] => [
  microphone({ headerExtensions: extensions('audio', (index) => index + 1) }),
  camera({ codecs: [VP8, RTX], headerExtensions: extensions('video', (index) => index + 1) }),
  screenAudio({ headerExtensions: extensions('audio', (index) => 255 - index) }),
  screen({ codecs: [VP8, RTX], headerExtensions: extensions('video', (index) => 255 - index) }),
  camera({ codecs: [VP8, RTX], headerExtensions: extensions('video', (index) => 16 + index) }),
  microphone({ headerExtensions: extensions('video', (index) => index + 1) }),
  microphone({ rtcp: { cname: '', reducedSize: false }, msid: `${'a'.repeat(64)} ${'b'.repeat(64)}` }),
  microphone({ rtcp: { cname: 'x'.repeat(255) }, msid: '-' }),
];

function atTheEdge(name: string, does: string, all: (stranger: Stranger) => readonly Publication[]): Attack {
  return {
    name,
    world: 'plain',
    description: does,
    allowedAnswers: [
      'ok',
      'malformed_message',
      'invalid_media_parameters',
      'limit_reached',
      'rate_limited',
      'closed',
    ],
    strike: async (world, isOver) => {
      const answers = await repeatUntil(isOver, async () => {
        const stranger = await Stranger.join(world, {
          token: world.token({
            subject: `mallory-${randomUUID()}`,
            publish: ['microphone', 'camera', 'screen', 'screen-audio'],
          }),
        });
        const living: string[] = [];
        const outcomes = new Set<string>();
        const endOldest = async (): Promise<void> => {
          outcomes.add(await stranger.ask('track.end', { trackId: living.shift() }));
        };
        for (const publication of all(stranger)) {
          const { outcome, trackId } = await stranger.publish(publication);
          outcomes.add(outcome);
          if (outcome === 'ok') living.push(trackId);
          if (living.length > AT_ONCE) await endOldest();
        }
        while (living.length > 0) await endOldest();
        await stranger.leave();
        return [...outcomes];
      });
      return answers;
    },
  };
}

export const EDGES_OF_MEDIA: readonly Attack[] = [
  atTheEdge(
    'encodings at the edge of what is allowed',
    'publishes most layers, longest names, lowest and highest SSRCs, names and SSRCs of others and of before',
    encodingsAtTheEdge,
  ),
  atTheEdge(
    'codecs at the edge of what is allowed',
    'publishes every extreme of payload types and settings, odd profiles, retransmission of nothing and of itself',
    CODECS_AT_THE_EDGE,
  ),
  atTheEdge(
    'header extensions at the edge of what is allowed',
    'publishes all header extensions there are under the lowest and highest ids, and longest names',
    EXTENSIONS_AT_THE_EDGE,
  ),
];
