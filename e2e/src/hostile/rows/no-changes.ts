/** Requests that repeat the same item and ask for the current state (SPEC BU33). */
import { randomUUID } from 'node:crypto';
import { readMetric } from '../../harness/metrics.ts';
import type { Attack } from '../attack.ts';
import type { HostileWorld } from '../hostile-world.ts';
import { microphone } from '../stranger.ts';
import type { Stranger } from '../stranger.ts';
import { flood } from './floods.ts';

/** The mediasoup calls that change consumers, transports and producers. */
const CALLS = [
  'transport.connect',
  'transport.consume',
  'transport.produce',
  'consumer.pause',
  'consumer.resume',
  'consumer.setPriority',
  'consumer.setPreferredLayers',
  'producer.pause',
  'producer.resume',
] as const;
const NAMED_AT_ONCE = 64;
/** A join creates consumers for all tracks, and a microphone. */
const MOST_CALLS_OF_A_JOIN = 40;

async function callsOf({ targetNode }: HostileWorld): Promise<number> {
  const counts = CALLS.map((method) =>
    readMetric(targetNode.operatorUrl, 'plenary_mediasoup_calls_total', { method }),
  );
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

/** What each stranger of the flood publishes once, and then repeats. */
const publications = new WeakMap<Stranger, Readonly<Record<string, unknown>>>();
const tracks = new WeakMap<Stranger, string>();

async function prepare(stranger: Stranger): Promise<void> {
  const publication = { requestId: randomUUID(), ...microphone() };
  publications.set(stranger, publication);
  tracks.set(stranger, (await stranger.publish(publication)).trackId);
  await update(stranger);
}

const update = (stranger: Stranger): Promise<string> => {
  const [consumer] = stranger.joined.media.consumers;
  const change = { consumerId: consumer?.consumerId ?? 'x', paused: false, priority: 7 };
  return stranger.ask('consumers.update', { consumers: Array.from({ length: NAMED_AT_ONCE }, () => change) });
};

/** Each asks for the current state. */
const REPEATS: readonly ((stranger: Stranger) => Promise<string>)[] = [
  update,
  (stranger) => {
    const trackId = stranger.joined.media.consumers[0]?.trackId ?? 'x';
    return stranger.ask('subscribe', { trackIds: Array.from({ length: NAMED_AT_ONCE }, () => trackId) });
  },
  (stranger) => {
    const consumerIds = Array.from({ length: NAMED_AT_ONCE }, () => randomUUID());
    return stranger.ask('unsubscribe', { consumerIds });
  },
  async (stranger) => (await stranger.publish(publications.get(stranger))).outcome,
  (stranger) => stranger.ask('track.pause', { trackId: tracks.get(stranger) ?? 'x', paused: false }),
  (stranger) => stranger.ask('session.confirm', { sessionToken: stranger.joined.session.sessionToken }),
];

export const NO_CHANGES: Attack = {
  name: 'endless repetitions of the current state',
  world: 'plain',
  description:
    'requests the layers, tracks, pauses and publications that it already has, each named 64 times in one request, and counts mediasoup calls',
  allowedAnswers: ['ok', 'rate_limited', 'flooding', 'closed', 'media_unavailable', 'track_not_found'],
  strike: async (world, isOver) => {
    let joins = 0;
    const before = await callsOf(world);
    const answers = await flood(
      world,
      {
        name: '',
        description: '',
        prepare: async (stranger) => {
          joins += 1;
          await prepare(stranger);
        },
        step: async (stranger, count) => (await REPEATS[count % REPEATS.length]?.(stranger)) ?? 'ok',
      },
      isOver,
    );
    const calls = (await callsOf(world)) - before;
    const most = joins * MOST_CALLS_OF_A_JOIN;
    return calls <= most ? answers : [...answers, `${calls} calls of mediasoup by ${joins} joins`];
  },
};
