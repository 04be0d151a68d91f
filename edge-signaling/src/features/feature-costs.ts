import type { ClientRequest, ClientRequestName } from '@plenary/cluster/protocol';
import type { Cost } from '../limits/resources.ts';

/** The costs of a feature's requests, by their content and the number of people in the room. */
export type FeatureCosts<Name extends ClientRequestName> = {
  readonly [Request in Name]: (request: ClientRequest<Request>, people: number) => Cost;
};
