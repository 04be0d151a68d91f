/** What requests cost, as pure functions of what they hold and of how many people the room has (SPEC BU4). */
import { CALLS_PER_ADMISSION } from '@plenary/cluster';
import type { ClientReply, ClientRequest, ClientRequestName, EntryChange } from '@plenary/cluster/protocol';
import { entryBytes, ROSTER_PAGE_SIZE } from '@plenary/cluster/protocol';
import { FEATURE_COSTS, FEATURE_WORK } from '../features/costs.ts';
import { BYTES_PER_EVENT, eventTo, scaled } from './resources.ts';
import type { Cost } from './resources.ts';

export type { Cost, Resource } from './resources.ts';
export { BYTES_PER_EVENT, costOfNoEvent, RESOURCES, scaled } from './resources.ts';

/** What each request takes of the edge's own work, whatever it holds (SPEC RL1); a refused one costs as much. */
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
/** Tracks of one placement whose publication costs no more: microphone, camera, and a screen with its sound. */
export const FIRST_TRACKS = 4;
/**
 * What each further one costs beside, known afterwards: together as much as a join, since everybody in the room subscribes to it and pays
 * for that as well (SPEC BU22). Not the first ones: whose edge and media node died together has little left (`CARRIED_LEAST_SHARE`).
 */
export const COST_OF_FURTHER_TRACK: Cost = { work: REQUEST_COSTS.join - REQUEST_COSTS['track.publish'] };
/** Of a message that is no request. */
export const UNKNOWN_COST = 5;
/** Of a request by HTTP: a page, which is some dozens of them, is as much as a few joins. */
export const HTTP_COST = 4;

/** Work of each item in a list, beside that of the request: eight of them are as much as a small request. */
export const WORK_PER_ITEM = 1 / 8;
/** Bytes of one person on a page, and of one consumer in an answer. */
export const BYTES_PER_PERSON = 160;
export const BYTES_PER_CONSUMER = 1_500;
/** Bytes of one entry beside its value. */
const BYTES_PER_ENTRY = 80;

type ConsumerUpdate = ClientRequest<'consumers.update'>['consumers'][number];

/**
 * The changes of one request, one for each consumer: of what is said several times of a consumer the last counts, and is
 * done once.
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

/** Calls of mediasoup that changes make, if each of them changes something. */
export const callsOfUpdates = (updates: readonly ConsumerUpdate[]): number =>
  mergeUpdates(updates).reduce((sum, update) => sum + callsOf(update), 0);

const countOf = (ids: readonly string[]): number => new Set(ids).size;
const pageBytes = (people: number): number => Math.min(people, ROSTER_PAGE_SIZE) * BYTES_PER_PERSON;
/** What coming in carries at least, also where nobody is known to be there: what is owed for earlier answers has to be paid. */
const comingInBytes = (people: number): number => BYTES_PER_EVENT + pageBytes(people);
type CostTable = {
  readonly [Name in ClientRequestName]: (request: ClientRequest<Name>, people: number) => Cost;
};

/** Beside {@link REQUEST_COSTS}: `work` is that of items here. */
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
  // What it carries is known afterwards; what is owed for earlier ones has to be paid.
  sync: () => ({ store: 2, bytes: BYTES_PER_EVENT }),
  ...FEATURE_COSTS,
};

/**
 * What a request costs beside its fixed work.
 * @param people - in its room, as far as the edge knows
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
 * What coming in takes: a join, tracks, what is on the screen, and a few presses of a button. So much is due at once to
 * everybody who has drawn nothing lately (SPEC BU48).
 */
export const costOfComingIn = (people: number): Cost => ({
  work: 100,
  mediasoup: 250,
  store: 20,
  bytes: 262_144 + EVENTS_OF_COMING_IN * people * (BYTES_PER_EVENT + 100),
  deliveries: EVENTS_OF_COMING_IN * Math.max(1, people),
});
const EVENTS_OF_COMING_IN = 8;

/** What is given back for a change to what was so already: it took neither a call nor the store. */
export const costOfNothing = (cost: Cost): Cost => scaled(cost, -1);

/**
 * What is given back of calls of mediasoup that a request was charged and did not take.
 * @param taken - as the media node says; an older one does not
 */
export const costOfNoCalls = ({ mediasoup = 0 }: Cost, taken: number | undefined): Cost => ({
  mediasoup: taken === undefined ? 0 : Math.min(0, taken - mediasoup),
});

/** What an answer to `sync`, or to a resume, carried, which only the answer tells. */
export function costOfCatchUp(reply: ClientReply<'sync'>): Cost {
  if (reply.type === 'snapshot') return { bytes: snapshotBytes(reply.room) };
  return { bytes: reply.events.reduce((sum, { event }) => sum + BYTES_PER_EVENT + textBytes(event), 0) };
}

/** The same of an answer to a join: whoever joins again and again is told of all that was said again and again. */
export const costOfJoining = ({ room, media }: ClientReply<'join'>): Cost => ({
  bytes: snapshotBytes(room) + offerBytes(media),
});

/** The same of an offer of media. */
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
