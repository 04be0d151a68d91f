import { PlenaryError } from '@plenary/cluster';
import { HAND, HAND_PERMISSIONS, isPermitted } from '@plenary/cluster/protocol';
import type { HAND_REQUESTS } from '@plenary/cluster/protocol';
import { changeEntries, entryDeleted, entrySet } from '../../entries/change-entries.ts';
import type { FeatureServices } from '../../entries/change-entries.ts';
import type { Handler } from '../../rpc/handlers/services.ts';
import type { FeatureRoutes } from '../feature.ts';

export function handleHandRaise(services: FeatureServices): Handler<'hand.raise'> {
  return async (_request, connection) => {
    const { peerId } = connection.session;
    await changeEntries(services, connection, { writes: [entrySet(HAND, { peerId }, {})] });
    return {};
  };
}

export function handleHandLower(services: FeatureServices): Handler<'hand.lower'> {
  return async ({ peerId }, connection) => {
    const { session } = connection;
    const whose = peerId ?? session.peerId;
    if (whose !== session.peerId && !isPermitted(HAND_PERMISSIONS, 'lowerOthers', session.grants.role))
      throw new PlenaryError('forbidden', 'Only hosts and moderators lower the hands of others.');
    await changeEntries(services, connection, { writes: [entryDeleted(HAND, { peerId: whose })] });
    return {};
  };
}

/** The rows of raised hands in the dispatch table. */
export const handRoutes: FeatureRoutes<keyof typeof HAND_REQUESTS, FeatureServices> = (row, services) => ({
  'hand.raise': row('hand.raise', handleHandRaise(services)),
  'hand.lower': row('hand.lower', handleHandLower(services)),
});
