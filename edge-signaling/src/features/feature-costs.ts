import type { ClientRequest, ClientRequestName } from '@plenary/cluster/protocol';
import type { Cost } from '../limits/resources.ts';

/** What the requests of a feature cost, by what they hold and by how many people the room has. */
export type FeatureCosts<Name extends ClientRequestName> = {
  readonly [Request in Name]: (request: ClientRequest<Request>, people: number) => Cost;
};
