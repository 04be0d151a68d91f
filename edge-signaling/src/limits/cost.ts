/** The costs of requests, as pure functions of their payload and of the number of people in the room (SPEC BU4). */
import { CALLS_PER_ADMISSION } from '@plenary/cluster';
import type { ClientReply, ClientRequest, ClientRequestName, EntryChange } from '@plenary/cluster/protocol';
import { entryBytes, ROSTER_PAGE_SIZE } from '@plenary/cluster/protocol';
import { FEATURE_COSTS, FEATURE_WORK } from '../features/costs.ts';
import { BYTES_PER_EVENT, eventTo, scaled } from './resources.ts';
import type { Cost } from './resources.ts';

export type { Cost, Resource } from './resources.ts';
export { BYTES_PER_EVENT, costOfNoEvent, RESOURCES, scaled } from './resources.ts';

/** Each request's fixed work of the edge, whatever its payload (SPEC RL1); a refused request costs as much. */
export const REQUEST_COSTS: Readonly<Record<ClientRequestName, number>> = {
  join: 20,
  resume: 20,
  'session.confirm': 1,
  leave: 1,
  'edge.check': 1,
  'media.open': 20,
  'media.moved': 1,
  'media.check': 1,
  'transport.connect': 1,
  'transport.restartIce': 2,
  'track.publish': 5,
  'track.pause': 1,
  'track.end': 1,
  subscribe: 3,
  unsubscribe: 1,
  'consumer.failed': 1,
  'consumers.update': 1,
  'chat.post': 5,
  'roster.page': 3,
  sync: 5,
  ...FEATURE_WORK,
};
/** Tracks of one placement without an additional cost: microphone, camera, and a screen with its sound. */
export const FIRST_TRACKS = 4;
/**
 * The additional cost of each further track, charged afterwards: its publication then costs as much as a join, because everybody in the room
 * subscribes to it and pays for that (SPEC BU22). The first tracks cost less, because a client whose edge and media node died together
 * has little left (`MIN_CARRIED_SHARE`).
 */
export const COST_OF_FURTHER_TRACK: Cost = { work: REQUEST_COSTS.join - REQUEST_COSTS['track.publish'] };
/** Work of a message that is no request. */
export const UNKNOWN_COST = 5;
/** Work of an HTTP request: a page, which needs some dozens of them, costs as much as a few joins. */
export const HTTP_COST = 4;

/** Work of each item in a list, in addition to that of the request: eight items cost as much as a small request. */
export const WORK_PER_ITEM = 1 / 8;
/** Bytes of one person on a page, and of one consumer in an answer. */
export const BYTES_PER_PERSON = 160;
export const BYTES_PER_CONSUMER = 1_500;
/** Bytes of one entry without its value. */
const BYTES_PER_ENTRY = 80;

type ConsumerUpdate = ClientRequest<'consumers.update'>['consumers'][number];

/**
 * The changes of one request, one for each consumer: the last value of each property counts.
 */
export function mergeUpdates(updates: readonly ConsumerUpdate[]): ConsumerUpdate[] {
  const merged = new Map<string, ConsumerUpdate>();
  for (const update of updates)
    merged.set(update.consumerId, { ...merged.get(update.consumerId), ...definedOf(update) });
  return [...merged.values()];
}

function definedOf(update: ConsumerUpdate): ConsumerUpdate {
  const { consumerId, paused, preferredLayers, priority } = update;
  return {
    consumerId,
    ...(paused === undefined ? {} : { paused }),
    ...(preferredLayers === undefined ? {} : { preferredLayers }),
    ...(priority === undefined ? {} : { priority }),
  };
}

const callsOf = ({ paused, preferredLayers, priority }: ConsumerUpdate): number =>
  [paused, preferredLayers, priority].filter((change) => change !== undefined).length;

/** The mediasoup calls for these changes, if each of them changes something. */
export const callsOfUpdates = (updates: readonly ConsumerUpdate[]): number =>
  mergeUpdates(updates).reduce((sum, update) => sum + callsOf(update), 0);

const countOf = (ids: readonly string[]): number => new Set(ids).size;
const pageBytes = (people: number): number => Math.min(people, ROSTER_PAGE_SIZE) * BYTES_PER_PERSON;
/** The least bytes of an entry, also into a room that this edge believes empty: debts of earlier answers must be paid first. */
const comingInBytes = (people: number): number => BYTES_PER_EVENT + pageBytes(people);
type CostTable = {
  readonly [Name in ClientRequestName]: (request: ClientRequest<Name>, people: number) => Cost;
};

/** Costs in addition to {@link REQUEST_COSTS}: `work` here is that of items. */
const COSTS: CostTable = {
  join: (_request, people) => ({
    mediasoup: CALLS_PER_ADMISSION,
    store: 4,
    bytes: comingInBytes(people),
    deliveries: people,
  }),
  resume: (_request, people) => ({ store: 4, bytes: comingInBytes(people) }),
  'session.confirm': () => ({ store: 1 }),
  leave: (_request, people) => ({ mediasoup: 4, ...eventTo(people) }),
  'edge.check': () => ({}),
  'media.open': () => ({ mediasoup: CALLS_PER_ADMISSION, store: 5, bytes: BYTES_PER_CONSUMER }),
  'media.moved': () => ({ mediasoup: 2, store: 1 }),
  'media.check': () => ({ mediasoup: 2 }),
  'transport.connect': () => ({ mediasoup: 1 }),
  'transport.restartIce': () => ({ mediasoup: 1 }),
  'track.publish': (_request, people) => ({ mediasoup: 3, ...eventTo(people) }),
  'track.pause': (_request, people) => ({ mediasoup: 1, ...eventTo(people) }),
  'track.end': (_request, people) => ({ mediasoup: 1, ...eventTo(people) }),
  subscribe: ({ trackIds }) => {
    const count = countOf(trackIds);
    return { work: count * WORK_PER_ITEM, mediasoup: count, store: 1, bytes: count * BYTES_PER_CONSUMER };
  },
  unsubscribe: ({ consumerIds }) => {
    const count = countOf(consumerIds);
    return { work: count * WORK_PER_ITEM, mediasoup: count };
  },
  'consumer.failed': () => ({ mediasoup: 1 }),
  'consumers.update': ({ consumers }) => ({
    work: mergeUpdates(consumers).length * WORK_PER_ITEM,
    mediasoup: callsOfUpdates(consumers),
  }),
  'chat.post': ({ text }, people) => eventTo(people, Buffer.byteLength(text)),
  'roster.page': (_request, people) => ({ store: 2, bytes: pageBytes(people) }),
  // The bytes of the answer are charged afterwards; debts of earlier answers must be paid first.
  sync: () => ({ store: 2, bytes: BYTES_PER_EVENT }),
  ...FEATURE_COSTS,
};

/**
 * The cost of a request in addition to its fixed work.
 * @param people - the number of people in its room, as far as the edge knows
 */
export function costOf<Name extends ClientRequestName>(
  name: Name,
  request: ClientRequest<Name>,
  people: number,
): Cost {
  const cost: CostTable[Name] = COSTS[name];
  return cost(request, people);
}

/**
 * The cost of an entry: a join, the tracks, the subscriptions of one screen, and a few button presses. This much is due at once to
 * every drawer that has drawn nothing lately (SPEC BU48).
 */
export const costOfComingIn = (people: number): Cost => ({
  work: 100,
  mediasoup: 250,
  store: 20,
  bytes: 262_144 + EVENTS_OF_COMING_IN * people * (BYTES_PER_EVENT + 100),
  deliveries: EVENTS_OF_COMING_IN * Math.max(1, people),
});
const EVENTS_OF_COMING_IN = 8;

/** The refund for a change that changed nothing: it took neither a mediasoup call nor the store. */
export const costOfNothing = (cost: Cost): Cost => scaled(cost, -1);

/**
 * The refund for mediasoup calls that a request was charged for and did not take.
 * @param taken - the calls that the media node reports; an older node reports none
 */
export const costOfNoCalls = ({ mediasoup = 0 }: Cost, taken: number | undefined): Cost => ({
  mediasoup: taken === undefined ? 0 : Math.min(0, taken - mediasoup),
});

/** The cost of an answer to `sync` or to a resume, known only from the answer. */
export function costOfCatchUp(reply: ClientReply<'sync'>): Cost {
  if (reply.type === 'snapshot') return { bytes: snapshotBytes(reply.room) };
  return { bytes: reply.events.reduce((sum, { event }) => sum + BYTES_PER_EVENT + textBytes(event), 0) };
}

/** The cost of an answer to a join: each join carries the whole chat history again. */
export const costOfJoining = ({ room, media }: ClientReply<'join'>): Cost => ({
  bytes: snapshotBytes(room) + offerBytes(media),
});

/** The cost of an answer with a media session. */
export const costOfOffer = (media: ClientReply<'media.open'>): Cost => ({ bytes: offerBytes(media) });

const offerBytes = ({ consumers }: ClientReply<'media.open'>): number =>
  consumers.length * BYTES_PER_CONSUMER;

function snapshotBytes({ peers, tracks, chat, entries }: ClientReply<'join'>['room']): number {
  const said = chat.reduce((sum, { text }) => sum + BYTES_PER_EVENT + Buffer.byteLength(text), 0);
  return peers.length * BYTES_PER_PERSON + tracks.length * BYTES_PER_EVENT + said + bytesOfEntries(entries);
}

function textBytes(
  event: Extract<ClientReply<'sync'>, { type: 'events' }>['events'][number]['event'],
): number {
  if (event.type === 'entries.changed') return bytesOfEntries(event.changes);
  return event.type === 'chat.posted' ? Buffer.byteLength(event.message.text) : 0;
}

const bytesOfEntries = (entries: readonly EntryChange[]): number =>
  entries.reduce((sum, { value = {} }) => sum + BYTES_PER_ENTRY + entryBytes(value), 0);
