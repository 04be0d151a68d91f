import { PlenaryError, toPlenaryError } from '@plenary/cluster';
import type { Clock } from '@plenary/cluster';
import type { ClientRequest } from '@plenary/cluster/protocol';
import { costOf, costOfCatchUp, costOfJoining, costOfNothing, REQUEST_COSTS } from '../../limits/cost.ts';
import type { Cost } from '../../limits/cost.ts';
import { demandAllowed } from '../../limits/meter.ts';
import { entrantOf } from './entrant.ts';
import type { ClientConnection } from '../../entry/client-connection.ts';
import type { Entered, Entering, Entrance } from '../../entry/entrance.ts';
import type { EntryGate } from '../../entry/gates/entry-gate.ts';
import type { SessionKeeper } from '../../entry/session-keeper.ts';
import type { EdgeMetrics } from '../../metrics.ts';
import type { LocalRooms } from '../../room/local-rooms.ts';
import type { Handler } from './services.ts';

export interface EntryServices {
  readonly joinGate: EntryGate;
  readonly resumeGate: EntryGate;
  readonly entrance: Pick<Entrance, 'join' | 'resume' | 'confirm'>;
  readonly keeper: Pick<SessionKeeper, 'leave'>;
  readonly localRooms: LocalRooms;
  /** Whether nobody new is taken. */
  readonly isDraining: () => boolean;
  readonly clock: Clock;
  readonly metrics: EdgeMetrics;
}

export function handleJoin(
  services: Pick<EntryServices, 'isDraining' | 'metrics' | 'clock' | 'joinGate' | 'localRooms'> & {
    readonly entrance: Pick<Entrance, 'join'>;
  },
): Handler<'join'> {
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
    const entrant = entrantOf(connection, request.token, () => connection.state.phase === 'entering');
    const reply = services.joinGate
      .pass(entrant, async (place) =>
        services.entrance.join(request, connection.socket, startedMs, {
          place,
          entrant,
          charge: chargingEntry(services, connection, 'join', request),
        }),
      )
      .then((entered) => finish(services, connection, entered, costOfJoining));
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

export function handleResume(
  services: Pick<EntryServices, 'isDraining' | 'metrics' | 'clock' | 'resumeGate' | 'localRooms'> & {
    readonly entrance: Pick<Entrance, 'resume'>;
  },
): Handler<'resume'> {
  return async (request, connection) => {
    refuseWhileDraining(services);
    const { metrics, clock, entrance, resumeGate } = services;
    const startedMs = clock.monotonicMs();
    connection.apply({ type: 'entry_started', entry: { requestId: undefined, reply: undefined } });
    try {
      const isWanted = (): boolean => connection.state.phase === 'entering';
      const entrant = entrantOf(connection, request.sessionToken, isWanted);
      const entered = await resumeGate.pass(entrant, async (place) =>
        entrance.resume(request, connection.socket, {
          place,
          charge: chargingEntry(services, connection, 'resume', request),
        }),
      );
      const reply = finish(services, connection, entered, ({ catchUp }) => costOfCatchUp(catchUp));
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

export function handleSessionConfirm({
  entrance,
}: {
  readonly entrance: Pick<Entrance, 'confirm'>;
}): Handler<'session.confirm'> {
  return async (request, connection) => {
    if (!(await entrance.confirm(connection.session, request.sessionToken)))
      connection.adjustCharge(costOfNothing(costOf('session.confirm', request, connection.people)));
    return {};
  };
}

export function handleLeave({ keeper }: Pick<EntryServices, 'keeper'>): Handler<'leave'> {
  return async (_request, connection) => {
    const { session } = connection;
    connection.apply({ type: 'left' });
    await session.inTurn(async () => keeper.leave(session));
    return {};
  };
}

/** The answer is all there is to it. */
export const handleEdgeCheck: Handler<'edge.check'> = () => Promise.resolve({});

/** The room and the tenant pay for people who come in or come back (SPEC BU15). What it makes throws PlenaryError `rate_limited`. */
function chargingEntry<Name extends 'join' | 'resume'>(
  { localRooms }: Pick<EntryServices, 'localRooms'>,
  connection: ClientConnection,
  name: Name,
  request: ClientRequest<Name>,
): Entering['charge'] {
  return (payers) => {
    const people = localRooms.peopleIn(payers.roomId) + 1;
    const cost = { work: REQUEST_COSTS[name], ...costOf(name, request, people) };
    demandAllowed(connection.chargeEntry(cost, payers));
  };
}

/** Who comes to an edge that is to go is sent on. @throws PlenaryError `shutting_down` */
function refuseWhileDraining({ isDraining }: Pick<EntryServices, 'isDraining'>): void {
  if (isDraining()) throw new PlenaryError('shutting_down');
}

/** A connection that closed while its join was under way holds no session; the keeper lets that one lapse. */
function finish<Name extends 'join' | 'resume'>(
  services: Pick<EntryServices, 'localRooms'>,
  connection: ClientConnection,
  { session, reply }: Entered<Name>,
  carried: (reply: Entered<Name>['reply']) => Cost,
): Entered<Name>['reply'] {
  if (connection.state.phase === 'entering' && services.localRooms.holds(session)) {
    connection.apply({ type: 'entered', session });
    connection.payFrom(session, { work: REQUEST_COSTS.resume });
    // It is told again to whoever comes again, and has to be paid before the next time (SPEC BU31).
    connection.adjustEntryCharge(carried(reply));
    return reply;
  }
  throw new PlenaryError('replaced');
}

function fail(connection: ClientConnection): void {
  if (connection.state.phase === 'entering') connection.apply({ type: 'entry_failed' });
}
