import { CONTROL_REQUESTS, PlenaryError, route, toPlenaryError } from '@plenary/cluster';
import type { ControlCaller, ControlRequestName, ReplyEnvelope, Route, RouteOptions } from '@plenary/cluster';
import type { Rooms } from '../room/rooms.ts';
import type { AcceptedControlLink } from './accepted-control-link.ts';
import type { NodeBudgets } from './node-budgets.ts';

/** The part of a control link that request handlers use. */
type AnsweredLink = Pick<AcceptedControlLink, 'caller' | 'asker' | 'notify' | 'close'>;

/** Returns which kind of caller may send a request: an edge speaks for peers, a media node for pipes (SPEC CL20). */
const callerKindFor = (name: ControlRequestName): ControlCaller['kind'] =>
  name.startsWith('pipe.') ? 'media-node' : 'edge';

export type Dispatch = (name: string, payload: unknown, link: AnsweredLink) => Promise<ReplyEnvelope>;

/** Maps each request of the control protocol to its handler. */
function routesOf(
  rooms: Rooms,
  options: RouteOptions,
): Readonly<Record<ControlRequestName, Route<AnsweredLink>>> {
  return {
    'peer.admit': route(
      CONTROL_REQUESTS['peer.admit'],
      (request, link) => rooms.admit(request, link),
      options,
    ),
    'peer.attach': route(
      CONTROL_REQUESTS['peer.attach'],
      ({ countMedia, ...placed }, link) =>
        countMedia === true ? rooms.attachAndCount(placed, link) : rooms.attach(placed, link),
      options,
    ),
    'peer.ask': route(CONTROL_REQUESTS['peer.ask'], (request) => ({ alive: rooms.hosts(request) }), options),
    'peer.drop': route(
      CONTROL_REQUESTS['peer.drop'],
      (request) => {
        rooms.drop(request);
        return {};
      },
      options,
    ),
    'transport.connect': route(
      CONTROL_REQUESTS['transport.connect'],
      async (request) => ({
        calls: await rooms.peer(request).connect(request.transportId, request.dtlsParameters),
      }),
      options,
    ),
    'transport.restartIce': route(
      CONTROL_REQUESTS['transport.restartIce'],
      async (request) => ({
        iceParameters: await rooms.peer(request).restartIce(request.transportId),
      }),
      options,
    ),
    'track.publish': route(
      CONTROL_REQUESTS['track.publish'],
      (request) => rooms.peer(request).publish(request),
      options,
    ),
    'track.pause': route(
      CONTROL_REQUESTS['track.pause'],
      async (request) => ({
        events: [...(await rooms.peer(request).pauseTrack(request.trackId, request.paused))],
      }),
      options,
    ),
    'track.end': route(
      CONTROL_REQUESTS['track.end'],
      (request) => rooms.peer(request).endTrack(request.trackId),
      options,
    ),
    subscribe: route(
      CONTROL_REQUESTS['subscribe'],
      (request) => rooms.peer(request).subscribe(request.tracks),
      options,
    ),
    unsubscribe: route(
      CONTROL_REQUESTS['unsubscribe'],
      (request) => ({ calls: rooms.peer(request).unsubscribe(request.consumerIds) }),
      options,
    ),
    'consumers.update': route(
      CONTROL_REQUESTS['consumers.update'],
      async (request) => {
        return { calls: await rooms.peer(request).updateConsumers(request.consumers) };
      },
      options,
    ),
    'pipe.locate': route(
      CONTROL_REQUESTS['pipe.locate'],
      (request) => {
        const room = rooms.room(request.roomId);
        if (room === undefined) throw new PlenaryError('track_not_found');
        return { routerId: room.locate(request.trackId) };
      },
      options,
    ),
    'pipe.relay': route(
      CONTROL_REQUESTS['pipe.relay'],
      async (request) => ({
        routerId: (await rooms.room(request.roomId)?.routes.relayRouter(request.homeNodeId)) ?? null,
      }),
      options,
    ),
    'pipe.open': route(
      CONTROL_REQUESTS['pipe.open'],
      async (request, link) => {
        const { end, toAddress, machineId, ...key } = request;
        const approach = { end, toAddress, machineId };
        return { end: await rooms.pipeHomes(key).open(key, approach, 'announced', link.asker) };
      },
      options,
    ),
    'pipe.consume': route(
      CONTROL_REQUESTS['pipe.consume'],
      (request) => {
        const { trackId, homeNodeId, ...key } = request;
        return rooms.pipeHomes(key).consume(key, { trackId, homeNodeId });
      },
      options,
    ),
    'pipe.demand': route(
      CONTROL_REQUESTS['pipe.demand'],
      async (request) => {
        const { trackId, wanted, ...key } = request;
        await rooms.pipeHomes(key).setWanted(key, trackId, wanted);
        return {};
      },
      options,
    ),
    'pipe.release': route(
      CONTROL_REQUESTS['pipe.release'],
      async (request) => {
        const { trackId, ...key } = request;
        await rooms.room(key.roomId)?.pipeHomes.release(key, trackId);
        return {};
      },
      options,
    ),
    'pipe.traffic': route(
      CONTROL_REQUESTS['pipe.traffic'],
      async (request) => ({ sentBytes: await rooms.pipeHomes(request).sentBytes(request) }),
      options,
    ),
    'pipe.close': route(
      CONTROL_REQUESTS['pipe.close'],
      (request) => {
        rooms.room(request.roomId)?.pipeHomes.close(request);
        return {};
      },
      options,
    ),
  };
}

/**
 * Creates the dispatch of a control link: finds a request's handler by its name, parses the payload, and answers in
 * an envelope. Never rejects.
 * @param budgets - the budgets that other media nodes' requests are charged to; edges charge their own
 */
export function createDispatch(
  rooms: Rooms,
  budgets: Pick<NodeBudgets, 'isFlooding' | 'spend'>,
  options: RouteOptions,
): Dispatch {
  const routes = routesOf(rooms, options);
  return async (name, payload, link) => {
    const { kind, id } = link.caller;
    if (kind === 'media-node' && budgets.isFlooding(id)) {
      link.close();
      return { ok: false, error: new PlenaryError('flooding').toWire() };
    }
    if (!isRequestName(name)) return { ok: false, error: new PlenaryError('unknown_message').toWire() };
    if (callerKindFor(name) !== kind) {
      return {
        ok: false,
        error: new PlenaryError(
          'forbidden',
          `Only callers of another kind than ${kind} may send ${name}.`,
        ).toWire(),
      };
    }
    try {
      if (kind === 'media-node') budgets.spend(id, name);
    } catch (thrown) {
      return { ok: false, error: toPlenaryError(thrown).toWire() };
    }
    return routes[name](payload, link);
  };
}

function isRequestName(name: string): name is ControlRequestName {
  return Object.hasOwn(CONTROL_REQUESTS, name);
}
