import type { Attack } from '../attack.ts';
import { over } from '../attack.ts';
import { camera, microphone, OPUS, Stranger, VP8 } from '../stranger.ts';

/** Publishes each of these into the meeting itself, where every browser would be offered what is accepted. */
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
    does,
    gets,
    strike: async (world, isOver) => {
      const stranger = await Stranger.join(world);
      const answers = await over(isOver, async () => {
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
    'line ends where the node has its own word',
    'hides CR LF in cname and msid, which no viewer is ever given',
    () => [
      microphone({ rtcp: { cname: INJECTED } }),
      microphone({ msid: INJECTED }),
      microphone({ rtcp: { cname: 'x'.repeat(300) } }),
      camera({ rtcp: { cname: '\u0000' } }),
    ],
  ),
  publications(
    'settings that no codec has',
    'hides line ends in settings of codecs that there are not: they are dropped, and the track is as any other',
    () => [
      microphone({ codecs: [{ ...OPUS, parameters: { 'x-evil': INJECTED } }] }),
      microphone({ codecs: [{ ...OPUS, parameters: { [INJECTED]: 1 } }] }),
      camera({ codecs: [{ ...VP8, parameters: { 'profile-id': INJECTED } }] }),
    ],
    ['ok', 'malformed_message', 'invalid_media_parameters', 'rate_limited', 'closed'],
  ),
  publications(
    'media that is not what it says',
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
    name: 'more tracks than anybody has',
    world: 'plain',
    does: 'publishes microphones without end',
    gets: ['ok', 'limit_reached', 'rate_limited', 'invalid_media_parameters', 'malformed_message', 'closed'],
    strike: async (world, isOver) => {
      const stranger = await Stranger.join(world, { roomId: 'tracks' });
      const answers = await over(isOver, async () => (await stranger.publish()).outcome);
      await stranger.leave();
      return answers;
    },
  },
];
