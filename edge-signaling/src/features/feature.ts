import type { Route } from '@plenary/cluster';
import type { ClientRequestName } from '@plenary/cluster/protocol';
import type { ClientConnection } from '../entry/client-connection.ts';
import type { Handler } from '../rpc/handlers/services.ts';

/** Makes a row of the dispatch table; requests are parsed and charged before the handler runs. */
export type Row = <Name extends ClientRequestName>(
  name: Name,
  handler: Handler<Name>,
) => Route<ClientConnection>;

/** The handlers of a feature by request, for connections that have joined. */
export type FeatureRoutes<Name extends ClientRequestName, Services> = (
  row: Row,
  services: Services,
) => Readonly<Record<Name, Route<ClientConnection>>>;
