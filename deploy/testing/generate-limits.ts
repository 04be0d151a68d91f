/** Makes `docs/limits.md` of the code's own tables: `npm run generate` writes it, `npm run check` compares it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CALLS_PER_ADMISSION } from '@plenary/cluster';
import * as protocol from '@plenary/cluster/protocol';
import {
  BUDGETS,
  MIN_CARRIED_SHARE,
  MAX_CARRIED_SHARE,
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
import { FRAME_BUDGETS, ENTRY_FRAMES, INFLOWS } from '../../edge-signaling/src/limits/frame-budgets.ts';
import { MAX_REQUESTS_UNDER_WAY } from '../../edge-signaling/src/rpc/dispatch.ts';
import {
  CROWDED_SHARE,
  MIN_CONNECTIONS_PER_ADDRESS,
  SHARE_OF_FREE,
  REFUSABLE_CONNECTIONS,
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

Every number here is read from the code (\`npm run generate\`). [protocol.md](protocol.md#limits) has the numbers that clients
need; the rules are in [SPEC.md](../cluster/SPEC.md), section BU.

## Budgets

Each request is charged to the budgets of its session, its person, its room, its tenant and its address. If one of them has too little left, the
request is refused with \`rate_limited\`. Only a session that keeps spending too fast is dropped with \`flooding\`, after ${patience.capacity} refusals at
once and ${patience.refillPerSecond} a second. A room, a tenant and an address have these budgets on each edge. For joins and resumes a room and a tenant have
separate budgets of the same size, which sites share.
All that draw from one budget share it fairly: each is entitled to an equal part of its income. Newcomers may
draw the cost of their entry at once, from a second budget of the same size that all newcomers share.
\`plenary_edge_limited_total\` counts refusals by budget and resource, and the log says
\`request refused: its budget is spent\` once in ten seconds for each kind.

${table(['whose', 'of what', 'at once', 'a second'], budgetRows)}

A resumed session continues with what it had left. On another edge it also gets what it had left if the previous edge reports it, else
the income since the previous resume,
${MIN_CARRIED_SHARE * 100}% of the whole at least and ${MAX_CARRIED_SHARE * 100}% at most. A new join of the same person (for guests: from the same address) gets what the person's
sessions on that edge had left, ${MIN_CARRIED_SHARE * 100}% at least. On another edge it gets a full budget: one person can spend as much at each edge, until the budget of the room
or the address there is spent. So a person who alternates between two edges that do not hear from each other can receive
as much from each of them.

## What requests cost

The table is for a room of ${PEOPLE} people, with ${ITEMS} items where the request has a list and 100 bytes of chat. *Work* is the edge's: the fixed
cost of [the table](protocol.md#limits) and ${WORK_PER_ITEM} for each item. *mediasoup* is the number of calls, each of which takes 0.14 to 0.30 ms of a media
node's thread; an admission counts as ${CALLS_PER_ADMISSION} calls. A *delivery* is one event to one person. *Bytes* are ${BYTES_PER_EVENT} for
an event, ${BYTES_PER_PERSON} for a person on a page, ${BYTES_PER_CONSUMER} for a consumer, and the text that people wrote. The bytes of a \`sync\`,
a join, a resume and an opening of a media session are charged when they are known, and must be paid before the next one, which needs at least ${BYTES_PER_EVENT} bytes
in the budget. The bytes of joins and resumes are also charged to the budgets of the room and the tenant for joins and resumes. An HTTP
request costs its address ${HTTP_COST} of work and the bytes of its answer; \`/health\` and \`/api/ready\` are free. From the ${FIRST_TRACKS + 1}th track
under one placement (\`epoch\`) on, a publication costs ${COST_OF_FURTHER_TRACK.work ?? 0} of work more, charged when it is done. Items that are named twice count once, and a request that changes nothing gets its cost back.

${table(['request', ...RESOURCES], costRows)}

## Frames

The edge counts input before it reads it: *frames* of any kind, WebSocket pings included, and the bytes *received*. A connection that
sends more is closed, with \`flooding\`, or with \`rate_limited\` if its person or its address has too little left. The connections of a person or an address
share its budget fairly, as described above; a connection that sent nothing for ten seconds may send ${ENTRY_FRAMES.frames} frames and ${amount('received', ENTRY_FRAMES.received)} at once.
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

Connections to an edge's port that are no sockets, such as silent ones and kept-alive HTTP, use places of
\`PLENARY_MAX_SOCKETS\` (and ${REFUSABLE_CONNECTIONS} more). While they use more than ${CROWDED_SHARE * 100}% of them, an address that is no trusted proxy may open
\`PLENARY_CONNECTS_PER_ADDRESS\` a second at most, ten times as many at once, and hold at most 1 in ${1 / SHARE_OF_FREE} of the places
that are then free, or ${MIN_CONNECTIONS_PER_ADDRESS}. The edge closes further ones without an answer, and closes connections after their answer.
\`plenary_edge_refused_connections_total\` counts them as \`connections_of_address\` and \`connections_full\`.

## Media nodes

${table(
  ['what', 'at once', 'a second'],
  [
    [
      'mediasoup calls for requests of one peer',
      String(PEER_CALLS.capacity),
      String(PEER_CALLS.refillPerSecond),
    ],
    ['tracks of one peer', String(MAX_TRACKS_PER_PEER), '–'],
    [
      'mediasoup calls for requests of one other media node',
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

Requests of another media node count as calls: ${Object.entries(CALLS_OF_NODE_REQUEST)
    .map(([name, calls]) => `\`${name}\` ${calls}`)
    .join(
      ', ',
    )}. \`plenary_media_limited_total\` counts refusals to peers and to nodes, by \`scope\` and \`resource\`.

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
