import { SLICE_REST_MS, toPlenaryError, after, guardCallback } from '@plenary/cluster';
import type {
  Clock,
  Incarnation,
  Logger,
  PortSlice,
  PortSliceClaim,
  PortSliceResult,
  SliceHolder,
} from '@plenary/cluster';
import type { MediaNodeConfig } from './config.ts';
import { boundIps, ownAddresses } from './engine/listen-plan.ts';
import { findPortFault, readEphemeralFault } from './engine/port-checks.ts';
import type { PortFault } from './engine/port-checks.ts';
import { planPorts } from './engine/port-plan.ts';
import type { PortPlan } from './engine/port-plan.ts';
import { announcedAddresses } from './media-address.ts';
import type { NodeMetrics } from './metrics.ts';
import type { NodeStore } from './room/node-store.ts';
import { StartRefused } from './start-refused.ts';

/** Interval between attempts of a waiting claim, in milliseconds; shorter leases shorten it. */
const RETRY_INTERVAL_MS = 1_000;
/** How long a node with an explicit slice waits at its start for the store, in milliseconds. */
const CONNECT_DEADLINE_MS = 2_000;

/** The machine whose ports are bound: this one, or a simulated one. */
export interface PortMachine {
  /** Explains why the system itself may give these ports to other programs, in one sentence. */
  ephemeralFault(ports: PortSlice): string | undefined;
  /** Finds a port of the slice that another program has. */
  portFault(
    slice: PortSlice,
    tcpPorts: readonly number[],
    listenIps: readonly string[],
  ): Promise<PortFault | undefined>;
}

const THIS_MACHINE: PortMachine = { ephemeralFault: readEphemeralFault, portFault: findPortFault };

export interface SliceClaimOptions {
  readonly config: Pick<MediaNodeConfig, 'mediaNodeId' | 'addresses' | 'sliceSource' | 'workers' | 'leaseMs'>;
  readonly store: Pick<NodeStore, 'registry' | 'isAvailable' | 'onAvailability'>;
  readonly incarnation: Incarnation;
  readonly clock: Clock;
  readonly metrics: NodeMetrics;
  readonly logger: Logger;
  readonly machine?: PortMachine;
  /** Receives the reason why the node has no ports yet. */
  readonly onWaiting: (reason: string) => void;
}

/** The ports that a node may bind. */
export interface ClaimedSlice {
  readonly portSlice: PortSlice;
  readonly ports: PortPlan;
}

/**
 * Gets ports for the node. The slice is leased first, so that of two nodes that start at once one is refused with the
 * name of the other. Then every port is bound for a moment, so that a taken port is reported by its number (SPEC PS5,
 * PO2, PO3). An explicit slice is used even if the store cannot be reached, and checked when the node is announced; a
 * leased slice is waited for.
 * @throws StartRefused naming the port, or the nodes that hold the ports
 */
export async function claimSlice(options: SliceClaimOptions): Promise<ClaimedSlice> {
  const { config, machine = THIS_MACHINE } = options;
  const { sliceSource, workers } = config;
  const configuredPorts = sliceSource.kind === 'explicit' ? sliceSource.portSlice : sliceSource.range;
  const fault = machine.ephemeralFault(configuredPorts);
  if (fault !== undefined) throw new StartRefused(`${settingOf(options)}: ${fault}`);
  if (sliceSource.kind === 'leased') return leaseSlice(options, sliceSource);
  await claimExplicit(options, sliceSource.portSlice);
  const checked = await checkPorts(machine, sliceSource.portSlice, workers, config);
  if ('ports' in checked) return checked;
  throw new StartRefused(`${settingOf(options)}: ${checked.message}`);
}

async function claimExplicit(options: SliceClaimOptions, portSlice: PortSlice): Promise<void> {
  await untilReached(options.store);
  const result = await tryClaim(options, portSlice);
  if (result?.refused === 'port_slice_overlap') {
    const theirs = textOf(result.portSlice);
    throw new StartRefused(
      `${settingOf(options)}: media node ${result.by} owns ports ${theirs} under the same announced address`,
    );
  }
}

async function leaseSlice(
  options: SliceClaimOptions,
  { range, size }: { readonly range: PortSlice; readonly size: number },
): Promise<ClaimedSlice> {
  const { config, clock, logger, onWaiting, machine = THIS_MACHINE } = options;
  const except: number[] = [];
  let lastTaken = '';
  let waitUntilMs: number | undefined;
  for (;;) {
    const result = await tryClaim(options, { range, size, except: [...except] });
    if (result === undefined) {
      onWaiting('slice_pending: the store is unreachable');
    } else if (result.refused === null) {
      const checked = await checkPorts(machine, result.portSlice, config.workers, config);
      if ('ports' in checked) return checked;
      if (!checked.taken) throw new StartRefused(`${settingOf(options)}: ${checked.message}`);
      logger.warn({ portSlice: textOf(result.portSlice) }, `${checked.message}; trying the next slice`);
      lastTaken = checked.message;
      except.push(result.portSlice.firstPort);
      continue;
    } else {
      const holders = result.refused === 'no_free_slice' ? result.holders : [];
      // A slice of an earlier incarnation of this node lapses and then rests; only that time is waited for.
      waitUntilMs ??= clock.monotonicMs() + (config.leaseMs * 4) / 3 + SLICE_REST_MS;
      if (!willBeFree(holders, config.mediaNodeId) || clock.monotonicMs() > waitUntilMs) {
        throw new StartRefused(`${settingOf(options)}: ${describeHolders(size, holders, lastTaken)}`);
      }
      onWaiting('slice_pending: every slice of the range is held or rests');
    }
    await new Promise((resolve) => setTimeout(resolve, Math.min(RETRY_INTERVAL_MS, config.leaseMs / 3)));
  }
}

/**
 * Resolves when the store answers, or after a limited time: at the start of a process the connection is not yet open.
 */
function untilReached(store: SliceClaimOptions['store']): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      clearTimeout(enough);
      stopListening();
      resolve();
    };
    const enough = after(CONNECT_DEADLINE_MS, settle);
    const stopListening = store.onAvailability(
      guardCallback('store', (available) => {
        if (available) settle();
      }),
    );
    if (store.isAvailable()) settle();
  });
}

/** Claims once. @returns `undefined` while the store does not answer */
async function tryClaim(
  { config, store, incarnation, metrics, logger }: SliceClaimOptions,
  wanted: PortSliceClaim['wanted'],
): Promise<PortSliceResult | undefined> {
  const { mediaNodeId, addresses, leaseMs } = config;
  const claim = { mediaNodeId, incarnation, ...announcedAddresses(addresses), wanted };
  try {
    return await store.registry.claimPortSlice(claim, leaseMs);
  } catch (thrown) {
    const error = toPlenaryError(thrown);
    metrics.errors.inc({ where: 'slice', code: error.code });
    if (error.code !== 'store_unavailable') throw error;
    logger.warn('port slice not claimed: the store is unavailable; trying again');
    return undefined;
  }
}

async function checkPorts(
  machine: PortMachine,
  portSlice: PortSlice,
  workers: number,
  { addresses }: Pick<MediaNodeConfig, 'addresses'>,
): Promise<ClaimedSlice | { readonly taken: boolean; readonly message: string }> {
  const ports = planPorts(portSlice, workers);
  if ('fault' in ports) return { taken: false, message: ports.fault };
  const own = ownAddresses();
  const listenIps = addresses.flatMap((address) => boundIps(address, own));
  const fault = await machine.portFault(portSlice, ports.webRtcPorts, listenIps);
  return fault ?? { portSlice, ports };
}

const willBeFree = (holders: readonly SliceHolder[], ownId: string): boolean =>
  holders.some(({ mediaNodeId, restsForMs }) => restsForMs !== null || mediaNodeId === ownId);

function describeHolders(size: number, holders: readonly SliceHolder[], lastTaken: string): string {
  const held = holders.map(
    ({ mediaNodeId, portSlice, restsForMs }) =>
      `${textOf(portSlice)} ${restsForMs === null ? 'held' : 'left'} by ${mediaNodeId}`,
  );
  const reasons = [...held, ...(lastTaken === '' ? [] : [lastTaken])];
  return `no slice of ${size} ports is free (${reasons.join('; ')})`;
}

function settingOf({ config: { sliceSource } }: SliceClaimOptions): string {
  return sliceSource.kind === 'explicit'
    ? `PLENARY_PORT_SLICE ${textOf(sliceSource.portSlice)}`
    : `PLENARY_PORT_RANGE ${textOf(sliceSource.range)}`;
}

/** Writes a slice as it is configured. */
export function textOf({ firstPort, lastPort }: PortSlice): string {
  return `${firstPort}-${lastPort}`;
}
