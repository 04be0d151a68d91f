import type { Route } from '@plenary/cluster';
import type { ClientRequestName } from '@plenary/cluster/protocol';
import type { ClientConnection } from '../entry/client-connection.ts';
import type { Handler } from '../rpc/handlers/services.ts';

/** Makes a row of the dispatch table: parsed and charged before the handler sees it. */
export type Row = <Name extends ClientRequestName>(
  name: Name,
  handler: Handler<Name>,
) => Route<ClientConnection>;

/** The handlers of a feature, request by request. They fit a connection that has joined, and no other. */
export type FeatureRoutes<Name extends ClientRequestName, Services> = (
  row: Row,
  services: Services,
) => Readonly<Record<Name, Route<ClientConnection>>>;
