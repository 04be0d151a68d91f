import { PlenaryError, toPlenaryError } from '@plenary/cluster';
import { keysOf } from '../../limits/address-keys.ts';
import { REQUEST_COSTS } from '../../limits/cost.ts';
import type { Entrant } from '../../limits/entry-gate.ts';
import type { Connection } from '../../session/connection.ts';
import type { Entered } from '../../session/entrance.ts';
import type { Handler, HandlerServices } from './services.ts';

export function handleJoin(services: HandlerServices): Handler<'join'> {
  return async (request, connection) => {
    const { state } = connection;
    if (state.phase === 'entering') {
      const { requestId, reply } = state.entry;
      if (requestId === request.requestId && reply !== undefined) return reply;
      throw new PlenaryError('out_of_order', 'Another join or resume is under way.');
    }
    refuseWhileDraining(services);
    const { metrics, clock } = services;
    const startedMs = clock.monotonicMs();
    const reply = services.joinGate
      .pass(entrantOf(connection, request.token), async (place) =>
        services.entrance.join(request, connection.socket, startedMs, place),
      )
      .then((entered) => finish(services, connection, entered));
    connection.apply({ type: 'entry_started', entry: { requestId: request.requestId, reply } });
    try {
      const answer = await reply;
      metrics.joins.inc({ result: 'ok' });
      metrics.joinSeconds.observe((clock.monotonicMs() - startedMs) / 1_000);
      return answer;
    } catch (fault) {
      metrics.joins.inc({ result: toPlenaryError(fault).code });
      fail(connection);
      throw fault;
    }
  };
}

export function handleResume(services: HandlerServices): Handler<'resume'> {
  return async (request, connection) => {
    refuseWhileDraining(services);
    const { metrics, clock, entrance, resumeGate } = services;
    const startedMs = clock.monotonicMs();
    connection.apply({ type: 'entry_started', entry: { requestId: undefined, reply: undefined } });
    try {
      const entered = await resumeGate.pass(entrantOf(connection, request.sessionToken), async (place) =>
        entrance.resume(request, connection.socket, place),
      );
      const reply = finish(services, connection, entered);
      metrics.resumes.inc({ result: 'ok' });
      metrics.resumeSeconds.observe((clock.monotonicMs() - startedMs) / 1_000);
      return reply;
    } catch (fault) {
      metrics.resumes.inc({ result: toPlenaryError(fault).code });
      fail(connection);
      throw fault;
    }
  };
}

export function handleSessionConfirm(services: HandlerServices): Handler<'session.confirm'> {
  return async ({ sessionToken }, connection) => {
    await services.entrance.confirm(connection.session, sessionToken);
    return {};
  };
}

export function handleLeave(services: HandlerServices): Handler<'leave'> {
  return async (_request, connection) => {
    const { session } = connection;
    connection.apply({ type: 'left' });
    await session.inTurn(async () => services.keeper.leave(session));
    return {};
  };
}

/** The answer is all there is to it. */
export const handleEdgeCheck: Handler<'edge.check'> = () => Promise.resolve({});

/** Who comes to an edge that is to go is sent on. @throws PlenaryError `shutting_down` */
function refuseWhileDraining({ isDraining }: HandlerServices): void {
  if (isDraining()) throw new PlenaryError('shutting_down');
}

/** A connection that closed while its join was under way holds no session; the keeper lets that one lapse. */
function finish<Name extends 'join' | 'resume'>(
  services: HandlerServices,
  connection: Connection,
  { session, reply }: Entered<Name>,
): Entered<Name>['reply'] {
  if (connection.state.phase === 'entering' && services.localRooms.holds(session)) {
    connection.apply({ type: 'entered', session });
    connection.payFrom(session, { work: REQUEST_COSTS.resume });
    return reply;
  }
  throw new PlenaryError('replaced');
}

/** The token stands for the peer that it names: nothing of it is proven yet, and it only sorts entries of one address. */
function entrantOf(connection: Connection, token: string): Entrant {
  return {
    owner: { address: keysOf(connection.socket.address)[0]?.key ?? '', peer: token },
    isWanted: () => connection.state.phase === 'entering',
  };
}

function fail(connection: Connection): void {
  if (connection.state.phase === 'entering') connection.apply({ type: 'entry_failed' });
}
