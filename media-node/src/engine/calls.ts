import { PlenaryError, toPlenaryError } from '@plenary/cluster';
import type { ErrorCode, Logger } from '@plenary/cluster';
import type { MediaAddresses } from '../media-address.ts';
import type { NodeMetrics } from '../metrics.ts';
import type { PortPlan } from './port-plan.ts';

/** The services that the whole engine uses. */
export interface EngineContext {
  readonly metrics: NodeMetrics;
  readonly logger: Logger;
  /** The addresses that RTP is bound on and that are announced to clients and other nodes. */
  readonly addresses: MediaAddresses;
  /** Addresses for other media nodes, one per family at most. */
  readonly pipeAddresses?: readonly string[];
  /** The addresses that are announced to clients now, with host names resolved; those of `addresses` if absent. */
  readonly clientAddresses?: () => readonly string[];
  readonly ports: PortPlan;
  readonly workerBin: string | undefined;
}

/**
 * Makes one call into mediasoup and counts it. A call costs 0.14 to 0.30 ms of this process' only thread, so the
 * number of calls per join limits a join storm. Errors of mediasoup become errors of the table.
 * @param refused - the error code when mediasoup does not accept a parameter
 * @param gone - the error code when the worker does not know the object of the call
 * @throws PlenaryError `refused`, `gone`; `media_lost` when the worker died
 */
export async function callMediasoup<Result>(
  metrics: NodeMetrics,
  method: string,
  operation: () => Promise<Result>,
  refused: ErrorCode = 'internal',
  gone: ErrorCode = 'media_lost',
): Promise<Result> {
  metrics.calls.inc({ method });
  try {
    return await operation();
  } catch (thrown) {
    throw translate(thrown, refused, gone);
  }
}

/**
 * Changes a consumer as {@link callMediasoup} does. A consumer that has ended needs no change. Its own event reports
 * its end, but only after the answer to the change: mediasoup emits a worker's notifications in the turn after its
 * answers. So checking `closed` here would not help (SPEC MS34).
 */
export async function changeConsumer(
  metrics: NodeMetrics,
  method: string,
  operation: () => Promise<void>,
  refused?: ErrorCode,
): Promise<void> {
  try {
    await callMediasoup(metrics, method, operation, refused, 'track_not_found');
  } catch (error) {
    if (toPlenaryError(error).code !== 'track_not_found') throw error;
  }
}

/** Counts a call without an answer, such as a close. */
export function noteCall(metrics: NodeMetrics, method: string): void {
  metrics.calls.inc({ method });
}

function translate(thrown: unknown, refused: ErrorCode, gone: ErrorCode): PlenaryError {
  if (thrown instanceof PlenaryError) return thrown;
  if (!(thrown instanceof Error)) return new PlenaryError('internal', undefined, { cause: thrown });
  switch (thrown.name) {
    case 'WorkerClosedError':
      return new PlenaryError('media_lost', undefined, { cause: thrown });
    case 'NotFoundError':
      // The object was closed while the request was on its way.
      return new PlenaryError(gone, undefined, { cause: thrown });
    default:
      return new PlenaryError(refused, thrown.message.slice(0, 300), { cause: thrown });
  }
}
