import { asking, askingEach, each } from './claim.ts';
import type { Claim } from './claim.ts';
import { fields, list } from './page-client.ts';
import type { Fields } from './page-client.ts';
import { microphone } from './stranger.ts';
import type { PageParticipant, Strangers } from './stranger.ts';

const MALFORMED = 'malformed_message';
const HELD_TRACKS = 8;

const fingerprints = (count: number): Fields => ({
  fingerprints: Array.from({ length: count }, (_, index) => ({
    algorithm: 'sha-256',
    value: Array.from({ length: 32 }, () => (index + 16).toString(16).toUpperCase()).join(':'),
  })),
});

const ids = (count: number): string[] => Array.from({ length: count }, (_, index) => `id-${index}`);

const publishing =
  (changes: Fields, claims: Fields = {}) =>
  async (strangers: Strangers): Promise<string> => {
    const person = await strangers.publisher({}, claims);
    return person.client.codeOf('track.publish', microphone(person, changes));
  };

const publish = async (person: PageParticipant, changes: Fields = {}): Promise<string> =>
  String((await person.client.call('track.publish', microphone(person, changes)))['trackId']);

const receiveTransport = ({ media }: PageParticipant): unknown => fields(media['receiveTransport'])['id'];

export const MEDIA_CLAIMS: readonly Claim[] = [
  {
    sentence: 'requests name their media session by epoch, and an unknown epoch is stale_epoch',
    attempt: async (strangers) => {
      const person = await strangers.publisher();
      const transportId = receiveTransport(person);
      const answers: unknown[] = [];
      for (const epoch of [person.media['epoch'], 5]) {
        for (const [name, payload] of [
          ['media.check', {}],
          ['transport.restartIce', { transportId }],
          ['subscribe', { trackIds: ['t-none'] }],
          ['unsubscribe', { consumerIds: ['c-none'] }],
          ['consumers.update', { consumers: [{ consumerId: 'c-none', paused: true }] }],
          ['track.end', { trackId: 't-none' }],
          ['track.publish', microphone(person)],
        ] as const) {
          answers.push(await person.client.codeOf(name, { ...payload, epoch }));
        }
      }
      return answers;
    },
    expected: [
      ...Array.from({ length: 7 }, () => 'ok'),
      'stale_epoch',
      'stale_epoch',
      // An unsubscribe without an existing consumer needs no media session.
      'ok',
      ...Array.from({ length: 4 }, () => 'stale_epoch'),
    ],
  },
  {
    sentence: 'an epoch is a whole number above 0',
    attempt: askingEach('media.check', [
      { epoch: 0 },
      { epoch: -1 },
      { epoch: 1.5 },
      { epoch: '1' },
      { epoch: 2 ** 53 },
    ]),
    expected: Array.from({ length: 5 }, () => MALFORMED),
  },
  {
    sentence: 'media.check says whether the media node hosts the client, and how many bytes were sent',
    attempt: async (strangers) => {
      const { client } = await strangers.join();
      const { alive, sentBytes } = await client.call('media.check', {});
      return [alive, typeof sentBytes];
    },
    expected: [true, 'number'],
  },
  {
    sentence: 'media.open opens a new media session under another epoch, and the previous epoch is stale',
    attempt: async (strangers) => {
      const person = await strangers.publisher();
      const opened = await person.client.call('media.open', await strangers.media({ publish: true }));
      const { epoch } = person.media;
      return [
        Number(opened['epoch']) > Number(epoch),
        await person.client.codeOf('media.check', { epoch }),
        await person.client.codeOf('media.check', { epoch: opened['epoch'] }),
      ];
    },
    expected: [true, 'stale_epoch', 'ok'],
  },
  {
    sentence: 'media.open with a moveFrom that is not alive is stale_epoch',
    attempt: async (strangers) =>
      asking('media.open', { ...(await strangers.media()), moveFrom: 5 })(strangers),
    expected: 'stale_epoch',
  },
  {
    sentence: 'media.moved for an epoch that is not the newest changes nothing',
    attempt: asking('media.moved', { epoch: 5 }),
    expected: 'ok',
  },
  {
    sentence: 'a transport of somebody else is transport_not_found',
    attempt: async (strangers) => {
      const [person, other] = [await strangers.join(), await strangers.join()];
      const answers: string[] = [];
      for (const transportId of ['t-none', receiveTransport(other)]) {
        answers.push(await person.client.codeOf('transport.restartIce', { transportId }));
        const dtlsParameters = { role: 'client', ...fingerprints(1) };
        answers.push(await person.client.codeOf('transport.connect', { transportId, dtlsParameters }));
      }
      return answers;
    },
    expected: Array.from({ length: 4 }, () => 'transport_not_found'),
  },
  {
    sentence: 'transport.connect takes 1 to 8 fingerprints, of the algorithms that the page names, in hex',
    attempt: async (strangers) => {
      const attempt = async (dtlsParameters: Fields): Promise<string> => {
        const person = await strangers.join();
        return person.client.codeOf('transport.connect', {
          transportId: receiveTransport(person),
          dtlsParameters,
        });
      };
      const [one] = list(fingerprints(1)['fingerprints']);
      const answers: string[] = [];
      for (const dtlsParameters of [
        { role: 'client', ...fingerprints(8) },
        { role: 'client', ...fingerprints(9) },
        { fingerprints: [] },
        { fingerprints: [{ ...one, algorithm: 'md5' }] },
        { fingerprints: [{ ...one, value: 'not hex' }] },
        { role: 'both', ...fingerprints(1) },
      ]) {
        answers.push(await attempt(dtlsParameters));
      }
      return answers;
    },
    expected: ['ok', ...Array.from({ length: 5 }, () => MALFORMED)],
  },
  {
    sentence: 'restartIce gives new ICE parameters',
    attempt: async (strangers) => {
      const person = await strangers.join();
      const before = fields(fields(person.media['receiveTransport'])['iceParameters']);
      const { iceParameters } = await person.client.call('transport.restartIce', {
        transportId: receiveTransport(person),
      });
      return fields(iceParameters)['usernameFragment'] !== before['usernameFragment'];
    },
    expected: true,
  },
  {
    sentence: 'a repeat of track.publish gives the same track, and track_not_found once the track has ended',
    attempt: async (strangers) => {
      const person = await strangers.publisher();
      const publication = microphone(person, { requestId: 'mic' });
      const first = await person.client.call('track.publish', publication);
      const repeat = await person.client.call('track.publish', publication);
      await person.client.call('track.end', { trackId: first['trackId'] });
      return [
        first['trackId'] === repeat['trackId'],
        await person.client.codeOf('track.publish', publication),
      ];
    },
    expected: [true, 'track_not_found'],
  },
  {
    sentence: 'a source that the token does not grant is forbidden, and a viewer may publish none',
    attempt: async (strangers) => [
      await publishing({}, { publish: ['camera'] })(strangers),
      await (async () => {
        const viewer = await strangers.publisher({}, { role: 'viewer' });
        const borrowed = { ...viewer, media: { sendTransport: { id: 't' } } };
        return viewer.client.codeOf('track.publish', microphone(borrowed));
      })(),
    ],
    expected: ['forbidden', 'forbidden'],
  },
  {
    sentence: 'the kind of a track must be that of its source',
    attempt: publishing({ kind: 'video' }),
    expected: 'invalid_media_parameters',
  },
  {
    sentence: 'a track is published on the own sending transport',
    attempt: async (strangers) => {
      const person = await strangers.publisher();
      const answers: string[] = [];
      for (const transportId of ['t-none', receiveTransport(person)]) {
        answers.push(await person.client.codeOf('track.publish', microphone(person, { transportId })));
      }
      return answers;
    },
    expected: ['transport_not_found', 'transport_not_found'],
  },
  {
    sentence: 'a peer publishes eight tracks at a time, and one more when one has ended',
    attempt: async (strangers) => {
      const person = await strangers.publisher();
      const tracks: string[] = [];
      for (let index = 0; index < HELD_TRACKS; index += 1) tracks.push(await publish(person));
      const tooMany = await person.client.codeOf('track.publish', microphone(person));
      await person.client.call('track.end', { trackId: tracks[0] });
      return [tooMany, await person.client.codeOf('track.publish', microphone(person))];
    },
    expected: ['limit_reached', 'ok'],
  },
  {
    sentence: 'track.pause of an unknown track is track_not_found; track.end of one is no error',
    attempt: async (strangers) => {
      const { client } = await strangers.join();
      return [
        await client.codeOf('track.pause', { trackId: 't-none', paused: true }),
        await client.codeOf('track.end', { trackId: 't-none' }),
      ];
    },
    expected: ['track_not_found', 'ok'],
  },
  {
    sentence: 'nobody can pause or end another person’s track',
    attempt: async (strangers) => {
      const roomId = 'foreign-tracks';
      const ann = await strangers.publisher({ roomId });
      const trackId = await publish(ann);
      const bob = await strangers.join({ roomId });
      const answers = [
        await bob.client.codeOf('track.pause', { trackId, paused: true }),
        await bob.client.codeOf('track.end', { trackId }),
      ];
      const { consumers } = await bob.client.call('subscribe', { trackIds: [trackId] });
      return [...answers, list(consumers).map(({ producerPaused }) => producerPaused)];
    },
    expected: ['track_not_found', 'ok', [false]],
  },
  {
    sentence: 'subscribe lists the tracks that failed, and why',
    attempt: async (strangers) => {
      const person = await strangers.publisher();
      const own = await publish(person);
      const reply = await person.client.call('subscribe', { trackIds: ['t-none', own] });
      return [reply['consumers'], list(reply['failed']).map(({ error }) => fields(error)['code'])];
    },
    expected: [[], ['track_not_found', 'forbidden']],
  },
  {
    sentence: 'a track that the client cannot decode is cannot_consume',
    attempt: async (strangers) => {
      const roomId = 'deaf';
      const trackId = await publish(await strangers.publisher({ roomId }));
      const media = { rtpCapabilities: { codecs: [] }, publish: false };
      const reply = await (
        await strangers.join({ roomId, media })
      ).client.call('subscribe', { trackIds: [trackId] });
      return list(reply['failed']).map(({ error }) => fields(error)['code']);
    },
    expected: ['cannot_consume'],
  },
  {
    sentence: 'a join brings consumers of the existing tracks, which are not paused',
    attempt: async (strangers) => {
      const roomId = 'there-already';
      const trackId = await publish(await strangers.publisher({ roomId }));
      const late = await strangers.join({ roomId });
      return [
        list(late.room['tracks']).map((track) => track['trackId'] === trackId),
        list(late.media['consumers']).map((consumer) => [
          consumer['trackId'] === trackId,
          consumer['paused'],
        ]),
      ];
    },
    expected: [[true], [[true, false]]],
  },
  {
    sentence: 'subscribe, unsubscribe and consumers.update name 1 to 64 ids, and unknown ids are no error',
    attempt: async (strangers) => {
      const named = (name: string, payloadOf: (count: number) => unknown) =>
        each([1, 64, 0, 65], async (count: number) => {
          const { client } = await strangers.join();
          return client.codeOf(name, payloadOf(count));
        })(strangers);
      return [
        await named('subscribe', (count) => ({ trackIds: ids(count) })),
        await named('unsubscribe', (count) => ({ consumerIds: ids(count) })),
        await named('consumers.update', (count) => ({
          consumers: ids(count).map((consumerId) => ({ consumerId })),
        })),
      ];
    },
    expected: Array.from({ length: 3 }, () => ['ok', 'ok', MALFORMED, MALFORMED]),
  },
  {
    sentence: 'layers are 0 to 7 and a priority 1 to 255',
    attempt: askingEach(
      'consumers.update',
      [
        { priority: 1 },
        { priority: 255 },
        { preferredLayers: { spatialLayer: 7, temporalLayer: 7 } },
        { priority: 0 },
        { priority: 256 },
        { priority: 1.5 },
        { preferredLayers: { spatialLayer: 8 } },
        { preferredLayers: { spatialLayer: -1 } },
        { preferredLayers: {} },
      ].map((change) => ({ consumers: [{ consumerId: 'c-none', ...change }] })),
    ),
    expected: ['ok', 'ok', 'ok', ...Array.from({ length: 6 }, () => MALFORMED)],
  },
];
