import type { Attack } from '../attack.ts';
import { repeatUntil } from '../attack.ts';
import { camera, microphone, OPUS, Stranger, VP8 } from '../stranger.ts';

/** Publishes each of these into the meeting itself, where every browser is offered those that are accepted. */
function publications(
  name: string,
  does: string,
  all: () => readonly Readonly<Record<string, unknown>>[],
  gets: readonly string[] = [
    'malformed_message',
    'invalid_media_parameters',
    'rate_limited',
    'forbidden',
    'closed',
  ],
): Attack {
  return {
    name,
    world: 'plain',
    description: does,
    allowedAnswers: gets,
    strike: async (world, isOver) => {
      const stranger = await Stranger.join(world);
      const answers = await repeatUntil(isOver, async () => {
        const outcomes: string[] = [];
        for (const publication of all()) {
          const { outcome, trackId } = await stranger.publish(publication);
          outcomes.push(outcome);
          if (outcome === 'ok') await stranger.ask('track.end', { trackId });
        }
        return outcomes;
      });
      await stranger.leave();
      return answers;
    },
  };
}

const INJECTED = 'x\r\na=candidate:1 1 udp 1 6.6.6.6 9 typ host';

export const MEDIA: readonly Attack[] = [
  publications(
    'line ends for every browser’s SDP',
    'hides CR LF in codec parameters, mid, rid and feedback',
    () => [
      microphone({ mid: INJECTED }),
      microphone({ codecs: [{ ...OPUS, parameters: { useinbandfec: INJECTED } }] }),
      microphone({ codecs: [{ ...OPUS, rtcpFeedback: [{ type: INJECTED }] }] }),
      camera({ encodings: [{ ssrc: 5, rid: INJECTED }] }),
      camera({ encodings: [{ ssrc: 5, scalabilityMode: INJECTED }] }),
      { ...microphone(), source: INJECTED },
    ],
  ),
  publications(
    'line ends in fields that the node replaces',
    'hides CR LF in cname and msid, which the node replaces and no viewer gets',
    () => [
      microphone({ rtcp: { cname: INJECTED } }),
      microphone({ msid: INJECTED }),
      microphone({ rtcp: { cname: 'x'.repeat(300) } }),
      camera({ rtcp: { cname: '\u0000' } }),
    ],
  ),
  publications(
    'unknown codec settings',
    'hides line ends in unknown codec settings, which are dropped: the track is like any other',
    () => [
      microphone({ codecs: [{ ...OPUS, parameters: { 'x-evil': INJECTED } }] }),
      microphone({ codecs: [{ ...OPUS, parameters: { [INJECTED]: 1 } }] }),
      camera({ codecs: [{ ...VP8, parameters: { 'profile-id': INJECTED } }] }),
    ],
    ['ok', 'malformed_message', 'invalid_media_parameters', 'rate_limited', 'closed'],
  ),
  publications(
    'media with a wrong kind or source',
    'publishes pictures as a microphone and sound as a camera',
    () => [
      { ...camera(), source: 'microphone' },
      { ...camera(), kind: 'audio', source: 'microphone' },
      { ...microphone(), source: 'camera' },
      { ...microphone(), kind: 'video', source: 'camera' },
      { ...microphone(), source: 'screen' },
      { ...camera(), source: 'screen-audio' },
    ],
  ),
  publications(
    'codecs that do not fit',
    'publishes unknown codecs, wrong clocks, clashing payload types',
    () => [
      microphone({ codecs: [{ mimeType: 'audio/evil', payloadType: 100, clockRate: 48_000 }] }),
      microphone({ codecs: [{ ...OPUS, clockRate: 8_000 }] }),
      microphone({ codecs: [{ ...OPUS, channels: 8 }] }),
      camera({ codecs: [VP8, VP8] }),
      camera({
        codecs: [{ mimeType: 'video/rtx', payloadType: 102, clockRate: 90_000, parameters: { apt: 101 } }],
      }),
      camera({
        codecs: [
          VP8,
          { mimeType: 'video/rtx', payloadType: 102, clockRate: 90_000, parameters: { apt: 77 } },
        ],
      }),
      camera({ codecs: [] }),
    ],
  ),
  publications(
    'encodings that do not fit',
    'publishes twenty encodings, doubled SSRCs, layers of sound',
    () => [
      camera({ encodings: Array.from({ length: 20 }, (_, index) => ({ ssrc: 100 + index })) }),
      camera({ encodings: [{ ssrc: 7 }, { ssrc: 7 }] }),
      camera({ encodings: [{ rid: 'a' }, { rid: 'a' }] }),
      camera({ encodings: [{ ssrc: 7, rtx: { ssrc: 7 } }] }),
      microphone({ encodings: [{ ssrc: 8 }, { ssrc: 9 }] }),
      camera({ encodings: [] }),
      camera({ encodings: [{ ssrc: -1 }] }),
    ],
  ),
  publications(
    'header extensions that do not fit',
    'publishes doubled ids, doubled names, ids out of range',
    () => [
      microphone({
        headerExtensions: [
          { uri: 'urn:ietf:params:rtp-hdrext:sdes:mid', id: 1 },
          { uri: 'urn:ietf:params:rtp-hdrext:ssrc-audio-level', id: 1 },
        ],
      }),
      microphone({ headerExtensions: [{ uri: 'urn:evil', id: 1 }] }),
      microphone({ headerExtensions: [{ uri: 'urn:ietf:params:rtp-hdrext:sdes:mid', id: 0 }] }),
      microphone({ headerExtensions: [{ uri: 'urn:ietf:params:rtp-hdrext:sdes:mid', id: 99_999 }] }),
    ],
  ),
  {
    name: 'more tracks than a peer may have',
    world: 'plain',
    description: 'publishes microphones without end',
    allowedAnswers: [
      'ok',
      'limit_reached',
      'rate_limited',
      'invalid_media_parameters',
      'malformed_message',
      'closed',
    ],
    strike: async (world, isOver) => {
      const stranger = await Stranger.join(world, { roomId: 'tracks' });
      const answers = await repeatUntil(isOver, async () => (await stranger.publish()).outcome);
      await stranger.leave();
      return answers;
    },
  },
];
