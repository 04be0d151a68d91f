import type { Logger, PortSlice } from '@plenary/cluster';
import type { MediaAddresses } from './media-address.ts';
import type { NodeMetrics } from './metrics.ts';
import type { AddressReachability } from './room/address-reachability.ts';
import { textOf } from './slice-claim.ts';

export interface ReachReportOptions {
  readonly addresses: MediaAddresses;
  readonly portSlice: PortSlice;
  readonly metrics: Pick<NodeMetrics, 'unreached'>;
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>;
}

/**
 * Reports to metrics and the log whether clients reach the announced address (SPEC HL7). @param people - number of
 * people who found no path
 */
export function reportReach(
  { addresses, portSlice, metrics, logger }: ReachReportOptions,
  people: number,
  { isUnreached, isSurelyUnreached }: Pick<AddressReachability, 'isUnreached' | 'isSurelyUnreached'>,
): void {
  metrics.unreached.set(isUnreached ? 1 : 0);
  const where = { announced: addresses.map(({ announced }) => announced), ports: textOf(portSlice) };
  if (isSurelyUnreached)
    logger.error(
      {
        ...where,
        people,
        toDo: 'check the announced address, and that UDP and TCP to these ports pass firewalls, NAT and security groups',
      },
      'no client reaches the announced address; new peers are sent to other nodes where there are any',
    );
  else if (isUnreached)
    logger.warn(
      { ...where, people },
      'clients of two networks do not reach the announced address; new peers are sent to other nodes of the datacenter for a while',
    );
  else logger.info(where, 'clients may reach the announced address again; new peers are admitted');
}
