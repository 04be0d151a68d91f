/** Makes `docs/limits.md` of the code's own tables: `npm run generate` writes it, `npm run check` compares it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CALLS_PER_ADMISSION } from '@plenary/cluster';
import * as protocol from '@plenary/cluster/protocol';
import {
  BUDGETS,
  CARRIED_LEAST_SHARE,
  CARRIED_SHARE,
  SCOPES,
  SMALL_ROOM,
} from '../../edge-signaling/src/limits/budget.ts';
import {
  BYTES_PER_CONSUMER,
  BYTES_PER_EVENT,
  BYTES_PER_PERSON,
  COST_OF_FURTHER_TRACK,
  costOf,
  FIRST_TRACKS,
  HTTP_COST,
  REQUEST_COSTS,
  RESOURCES,
  WORK_PER_ITEM,
} from '../../edge-signaling/src/limits/cost.ts';
import type { Cost } from '../../edge-signaling/src/limits/cost.ts';
import { FLOOD_SETTINGS } from '../../edge-signaling/src/limits/flood-settings.ts';
import {
  FRAME_BUDGETS,
  FRAMES_OF_COMING_IN,
  INFLOWS,
} from '../../edge-signaling/src/limits/frame-budgets.ts';
import { MAX_REQUESTS_UNDER_WAY } from '../../edge-signaling/src/rpc/dispatch.ts';
import {
  CROWDED_SHARE,
  HELD_IN_ANY_CASE,
  SHARE_OF_FREE,
  TO_BE_TOLD,
} from '../../edge-signaling/src/limits/tcp-gate.ts';
import { MAX_SEND_BUFFER_BYTES } from '../../edge-signaling/src/server/backpressure.ts';
import { MAX_LINK_BACKLOG_BYTES } from '../../media-node/src/control/control-server.ts';
import {
  CALLS_OF_NODE_REQUEST,
  NODE_CALLS,
  NODE_REQUESTS,
  MAX_PIPE_PORT_SHARE,
} from '../../media-node/src/control/node-budgets.ts';
import { PEER_CALLS } from '../../media-node/src/room/peer-budgets.ts';
import { MAX_TRACKS_PER_PEER } from '../../media-node/src/room/publications.ts';

const TARGET = join(import.meta.dirname, '../../docs/limits.md');

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

function amount(resource: string, value: number): string {
  if (resource !== 'bytes' && resource !== 'received') return String(value);
  if (value >= 1_073_741_824 && value % 1_073_741_824 === 0) return `${value / 1_073_741_824} GiB`;
  return value >= 1_048_576 ? `${value / 1_048_576} MiB` : `${value / 1_024} KiB`;
}

const OF_SCOPE = {
  session: 'a session, on whichever connection',
  person: 'all sessions of one person on one edge',
  room: `a room on one edge, for each of its people (${SMALL_ROOM} at least)`,
  tenant: 'a tenant (API key) on one edge',
  address: 'an address on one edge, for each socket of `PLENARY_SOCKETS_PER_ADDRESS`',
} as const;

const budgetRows = SCOPES.flatMap((scope) =>
  RESOURCES.map((resource) => {
    const { capacity, refillPerSecond } = BUDGETS[scope][resource];
    return [OF_SCOPE[scope], resource, amount(resource, capacity), amount(resource, refillPerSecond)];
  }),
);

const FRAMES_OF = {
  session: 'a session, on whichever connection',
  person: OF_SCOPE.person,
  address: OF_SCOPE.address,
} as const;

const frameRows = (['session', 'person', 'address'] as const).flatMap((scope) =>
  INFLOWS.map((inflow) => {
    const { capacity, refillPerSecond } = FRAME_BUDGETS[scope][inflow];
    return [FRAMES_OF[scope], inflow, amount(inflow, capacity), amount(inflow, refillPerSecond)];
  }),
);

/** A request of each name, with lists of ten items, in a room of a hundred. */
const PEOPLE = 100;
const ITEMS = 10;
const ids = Array.from({ length: ITEMS }, (_, index) => `id${index}`);
const parse = protocol.CLIENT_REQUESTS;
const LISTS: Partial<Record<protocol.ClientRequestName, Cost>> = {
  subscribe: costOf('subscribe', parse.subscribe.payload.parse({ trackIds: ids }), PEOPLE),
  unsubscribe: costOf('unsubscribe', parse.unsubscribe.payload.parse({ consumerIds: ids }), PEOPLE),
  'consumers.update': costOf(
    'consumers.update',
    parse['consumers.update'].payload.parse({
      consumers: ids.map((consumerId) => ({
        consumerId,
        paused: false,
        preferredLayers: { spatialLayer: 1 },
      })),
    }),
    PEOPLE,
  ),
  'track.publish': { mediasoup: 3, store: 1, deliveries: PEOPLE, bytes: PEOPLE * BYTES_PER_EVENT },
  'track.pause': costOf(
    'track.pause',
    parse['track.pause'].payload.parse({ trackId: 't', paused: true }),
    PEOPLE,
  ),
  'track.end': costOf('track.end', parse['track.end'].payload.parse({ trackId: 't' }), PEOPLE),
  'chat.post': costOf(
    'chat.post',
    parse['chat.post'].payload.parse({ requestId: 'r', text: 'x'.repeat(100) }),
    PEOPLE,
  ),
  'roster.page': costOf('roster.page', { cursor: '' }, PEOPLE),
  sync: costOf('sync', parse.sync.payload.parse({ afterEventId: '0-0' }), PEOPLE),
  'media.check': costOf('media.check', {}, PEOPLE),
};

const costRows = Object.entries(LISTS).map(([name, cost]) => [
  `\`${name}\``,
  ...RESOURCES.map((resource) => {
    const fixed = resource === 'work' ? requestCost(name) : 0;
    return String((cost[resource] ?? 0) + fixed);
  }),
]);

function requestCost(name: string): number {
  return new Map(Object.entries(REQUEST_COSTS)).get(name) ?? 0;
}

const constantRows = Object.entries(protocol)
  .filter(([name, value]) => /^[A-Z_]+$/.test(name) && typeof value === 'number')
  .map(([name, value]) => [`\`${name}\``, String(value)])
  .sort(([left = ''], [right = '']) => (left < right ? -1 : 1));

export function limitsDocument(): string {
  const { patience } = FLOOD_SETTINGS;
  return `<!-- Generated by deploy/testing/generate-limits.ts: do not edit. -->

# Limits

Every number here is read from the code (\`npm run generate\`). What clients have to know of them is in
[protocol.md](protocol.md#limits); the rules are in [SPEC.md](../cluster/SPEC.md), section BU.

## Budgets

A request is paid by its session, its person, its room, its tenant and its address. Whichever has too little left refuses it with
\`rate_limited\`; only a session that goes on spending too fast is dropped with \`flooding\`, after ${patience.capacity} refusals at
once and ${patience.refillPerSecond} a second. A room, a tenant and an address have these budgets on each edge; for joins and resumes a room and a tenant have
others of the same size, which sites share.
Those who draw from one of these share it fairly: an equal part of what comes in is due to each, and newcomers may
draw at once what coming in takes, from a second budget of the same size that all newcomers share.
\`plenary_edge_limited_total\` counts who was limited by what, and the log says
\`request refused: its budget is spent\` once in ten seconds for each kind.

${table(['whose', 'of what', 'at once', 'a second'], budgetRows)}

A session that is resumed goes on with what it had left. On another edge it finds that too, where the edge that had it says so, else
what came in since it was taken up before,
${CARRIED_LEAST_SHARE * 100}% of the whole at least and ${CARRIED_SHARE * 100}% at most. A new join of the same person – of guests: by the same address – finds what the person's
sessions on that edge had left, ${CARRIED_LEAST_SHARE * 100}% at least. On another edge it finds a whole purse: one person can spend as much at each edge, until the room's
or the address' budget there ends it. So whoever goes to and fro between two edges that do not hear of it from each other can be told
as much by each of them.

## What requests cost

In a room of ${PEOPLE} people, with ${ITEMS} items where the request has a list and 100 bytes of chat. *Work* is of the edge: the fixed
cost of [the table](protocol.md#limits) and ${WORK_PER_ITEM} for each item. *mediasoup* are calls, at 0.14 to 0.30 ms of a media
node's thread each; an admission is taken for ${CALLS_PER_ADMISSION}. A *delivery* is one event to one person. Bytes count ${BYTES_PER_EVENT} for
an event, ${BYTES_PER_PERSON} for a person on a page, ${BYTES_PER_CONSUMER} for a consumer, and what people wrote; those of \`sync\`, and what
a join, a resume and an opening of media carry, are counted when they are known, and paid before the next one, for which ${BYTES_PER_EVENT} bytes
at least have to be there; what a join and a resume carry is paid from the budgets of the room and the tenant for joins and resumes too. A request by
HTTP is taken for ${HTTP_COST} of work and the bytes of its answer, which its address pays; \`/health\` and \`/api/ready\` are free. From the ${FIRST_TRACKS + 1}th track
under one placement (\`epoch\`) on, a publication costs ${COST_OF_FURTHER_TRACK.work ?? 0} of work more, counted when it is done. Items that are named twice count once, and the cost of a change of nothing is given back.

${table(['request', ...RESOURCES], costRows)}

## Frames

What comes in is counted before it is read: *frames* of any kind, WebSocket pings included, and the bytes *received*. A connection that
sends more is closed, with \`flooding\`, or with \`rate_limited\` where its person or its address has too little left. Persons and addresses share fairly
among their connections as said above; ${FRAMES_OF_COMING_IN.frames} frames and ${amount('received', FRAMES_OF_COMING_IN.received)} are due at once to a connection that sent nothing for ten seconds.
\`plenary_edge_limited_total\` counts these too, and the log says \`connection closed: its budget of frames is spent\`.

${table(['whose', 'of what', 'at once', 'a second'], frameRows)}

## Connections

${table(
  ['what', 'at once', 'a second'],
  [
    ['requests under way', String(MAX_REQUESTS_UNDER_WAY), '–'],
    ['bytes that wait for a client that does not read', amount('bytes', MAX_SEND_BUFFER_BYTES), '–'],
    [
      'bytes that wait for an edge or media node that does not read its control link',
      amount('bytes', MAX_LINK_BACKLOG_BYTES),
      '–',
    ],
  ],
)}

Connections to an edge's port that are no sockets, such as silent ones and HTTP that is kept open, take places of
\`PLENARY_MAX_SOCKETS\` (and ${TO_BE_TOLD} more). While they take more than ${CROWDED_SHARE * 100}% of them, an address that is no trusted proxy opens
\`PLENARY_CONNECTS_PER_ADDRESS\` a second at most, ten times as many at once, and holds at most 1 in ${1 / SHARE_OF_FREE} of the places
that are free then, or ${HELD_IN_ANY_CASE}; what is beyond is closed without an answer, and connections close once they were answered.
\`plenary_edge_refused_connections_total\` counts them as \`connections_of_address\` and \`connections_full\`.

## Media nodes

${table(
  ['what', 'at once', 'a second'],
  [
    [
      'calls of mediasoup by the requests of one peer',
      String(PEER_CALLS.capacity),
      String(PEER_CALLS.refillPerSecond),
    ],
    ['tracks of one peer', String(MAX_TRACKS_PER_PEER), '–'],
    [
      'calls of mediasoup by the requests of one other media node',
      String(NODE_CALLS.capacity),
      String(NODE_CALLS.refillPerSecond),
    ],
    [
      'requests of one other media node, before it is disconnected',
      String(NODE_REQUESTS.capacity),
      String(NODE_REQUESTS.refillPerSecond),
    ],
    ['pipes of one other media node', `${MAX_PIPE_PORT_SHARE * 100}% of the ports for pipes`, '–'],
  ],
)}

Of another media node ${Object.entries(CALLS_OF_NODE_REQUEST)
    .map(([name, calls]) => `\`${name}\` is taken for ${calls}`)
    .join(
      ', ',
    )}. \`plenary_media_limited_total\` counts what is refused to peers and to nodes, by \`scope\` and \`resource\`.

## Constants of the protocol

${table(['constant', 'value'], constantRows)}
`;
}

if (import.meta.main) {
  if (!process.argv.includes('--check')) writeFileSync(TARGET, limitsDocument());
  else if (readFileSync(TARGET, 'utf8') !== limitsDocument()) {
    process.stderr.write('docs/limits.md is out of date: run `npm run generate`.\n');
    process.exitCode = 1;
  }
}
