import { CLIENT_REQUESTS } from '@plenary/cluster/protocol';
import type { ClientRequestName } from '@plenary/cluster/protocol';
import { Calls } from '@plenary/cluster/testing/simulation/calls';
import type { Life } from '@plenary/cluster/testing/simulation/virtual-time';
import { Wire } from '@plenary/cluster/testing/simulation/wire';
import type { Net } from '@plenary/cluster/testing/simulation/wire';
import type { SimulatedEdge } from './edge.ts';

/** A client's connection to an edge. */
export interface ClientLink {
  readonly edge: SimulatedEdge;
  readonly wire: Wire;
  readonly calls: Calls<typeof CLIENT_REQUESTS>;
  /** How many requests over this link await their answer. */
  pendingRequests: number;
}

export interface LinkEvents {
  readonly opened: () => void;
  readonly closed: () => void;
  readonly notice: (name: string, payload: unknown) => void;
}

const CONNECT_TIMEOUT_MS = 3_000;

/** Requests that a client may repeat when their answer is missing; a repetition of any other means something else. */
const REPEATABLE: ReadonlySet<string> = new Set<ClientRequestName>([
  'join',
  'media.moved',
  'track.publish',
  'track.pause',
  'track.end',
  'subscribe',
  'unsubscribe',
  'consumers.update',
  'chat.post',
  'session.confirm',
  'sync',
]);

export function openLink(net: Net, life: Life, edge: SimulatedEdge, events: LinkEvents): ClientLink {
  const timer = setTimeout(() => {
    wire.close('caller');
  }, CONNECT_TIMEOUT_MS);
  const wire: Wire = new Wire(
    net,
    {
      life,
      onClosed: () => {
        clearTimeout(timer);
        calls.broken();
        events.closed();
      },
    },
    {
      life: edge.life,
      onClosed: () => {
        edge.closed(wire);
      },
    },
  );
  const calls = new Calls(
    net,
    wire,
    CLIENT_REQUESTS,
    (name) => REPEATABLE.has(name),
    (name, payload) => edge.answer(wire, name, payload),
  );
  wire.send(
    'callee',
    () => 'connect',
    () => {
      if (!edge.accept(wire, events.notice)) return;
      wire.send('caller', undefined, () => {
        clearTimeout(timer);
        events.opened();
      });
    },
  );
  return { edge, wire, calls, pendingRequests: 0 };
}
