import type { RandomSource } from '@plenary/cluster/testing/seeded-random';

/** The impairment of a path, in each direction. */
export interface Impairment {
  /** One-way delay in milliseconds; half of the round trip that it stands for. */
  readonly delayMs: number;
  /** Each packet waits up to this much longer, evenly spread. Order is kept all the same. */
  readonly jitterMs: number;
  /** Share of UDP packets that are dropped, 0 to 1. TCP loses nothing: its retransmission would be the kernel's. */
  readonly lossRate: number;
}

export const NO_IMPAIRMENT: Impairment = { delayMs: 0, jitterMs: 0, lossRate: 0 };

/** A path with this round trip and no other impairment. */
export function roundTrip(roundTripMs: number): Impairment {
  return { ...NO_IMPAIRMENT, delayMs: roundTripMs / 2 };
}

/** @throws RangeError naming the invalid value */
export function checkImpairment(impairment: Impairment): Impairment {
  const { delayMs, jitterMs, lossRate } = impairment;
  if (!(delayMs >= 0 && delayMs <= 60_000))
    throw new RangeError(`delayMs must be 0 to 60000, not ${delayMs}`);
  if (!(jitterMs >= 0 && jitterMs <= 60_000))
    throw new RangeError(`jitterMs must be 0 to 60000, not ${jitterMs}`);
  if (!(lossRate >= 0 && lossRate <= 1)) throw new RangeError(`lossRate must be 0 to 1, not ${lossRate}`);
  return impairment;
}

/** Is called for each UDP packet at the moment when it is sent on; `down` means towards the client. */
export type DeliveryObserver = (direction: 'up' | 'down', packet: Buffer) => void;

/** The options of a relay. */
export interface Path {
  /** Is read for each packet, so that it may change while the relay runs. */
  readonly impairment: () => Impairment;
  readonly random: RandomSource;
  readonly onDelivered?: DeliveryObserver | undefined;
}

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** How many packets or bytes a relay forwarded and lost. */
export interface RelayCounts {
  forwarded: number;
  /** Dropped by `lossRate`. */
  lost: number;
  /** Dropped because a queue was full, or because the relay had too many clients. */
  overflowed: number;
  /** Refused by the network, as when nothing listens at the target. */
  failed: number;
}

export function newRelayCounts(): RelayCounts {
  return { forwarded: 0, lost: 0, overflowed: 0, failed: 0 };
}
