import type { Route } from '@plenary/cluster';
import type { ClientRequest, ClientRequestName } from '@plenary/cluster/protocol';
import type { FeatureServices } from '../entries/change-entries.ts';
import type { Connection } from '../entry/connection.ts';
import type { Cost } from '../limits/resources.ts';
import type { Handler } from '../rpc/handlers/services.ts';

/** Makes a row of the dispatch table: parsed and charged before the handler sees it. */
export type Row = <Name extends ClientRequestName>(name: Name, handler: Handler<Name>) => Route<Connection>;

/** What a feature is at an edge, request by request. They fit a connection that has joined, and no other. */
export interface Feature<Name extends ClientRequestName> {
  /** What each takes of the edge's own work, whatever it holds (SPEC RL1). */
  readonly work: Readonly<Record<Name, number>>;
  /** What each costs beside, by what it holds and by how many people the room has (SPEC BU4). */
  readonly costs: {
    readonly [Request in Name]: (request: ClientRequest<Request>, people: number) => Cost;
  };
  readonly routes: (row: Row, services: FeatureServices) => Readonly<Record<Name, Route<Connection>>>;
}
