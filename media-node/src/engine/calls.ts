import { PlenaryError, toPlenaryError } from '@plenary/cluster';
import type { ErrorCode, Logger } from '@plenary/cluster';
import type { MediaAddresses } from '../media-address.ts';
import type { NodeMetrics } from '../metrics.ts';
import type { PortPlan } from './port-plan.ts';

/** What everything in the engine works with. */
export interface EngineContext {
  readonly metrics: NodeMetrics;
  readonly logger: Logger;
  /** Where RTP is bound, and what clients and other nodes are told. */
  readonly addresses: MediaAddresses;
  /** By which other nodes reach it instead, one of each family at most. */
  readonly pipeAddresses?: readonly string[];
  /** What clients are told now, host names resolved; what `addresses` say where absent. */
  readonly clientAddresses?: () => readonly string[];
  readonly ports: PortPlan;
  readonly workerBin: string | undefined;
}

/**
 * Makes one call into mediasoup and counts it: a call costs 0.14 to 0.30 ms of this process' only thread, so the number
 * of calls that a join makes is the join-storm limit. What mediasoup throws becomes an error of the table.
 * @param refused - what a parameter that mediasoup does not accept means here
 * @param gone - what it means that the worker does not know, or not any more, what the call is about
 * @throws PlenaryError `refused`, `gone`; `media_lost` when the worker is gone
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
 * As {@link callMediasoup}, to change a consumer. One that has ended takes no change and needs none. That it ended is told by its
 * own event, and this process hears of it only after the answer to the change: mediasoup passes on what a worker tells in the turn
 * after what it answers. So `closed` is not to be asked here (SPEC MS34).
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

/** Counts a call that answers nothing, such as a close. */
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
      // It was closed while the request was on its way.
      return new PlenaryError(gone, undefined, { cause: thrown });
    default:
      return new PlenaryError(refused, thrown.message.slice(0, 300), { cause: thrown });
  }
}
