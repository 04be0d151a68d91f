import type { ConsulTrouble, Readiness, StoreTrouble } from '@plenary/cluster';
import type { LinkTrouble } from '../media/link-trouble.ts';

export interface ReadinessQuestion {
  readonly isStoreAvailable: () => boolean;
  /** Why the store is away, or a part of it. */
  readonly storeTrouble: () => StoreTrouble | undefined;
  /** Why this edge hears no other edge, or is not heard, although the store serves. */
  readonly pubSubTrouble: () => StoreTrouble | undefined;
  /** Another edge serves that has no such fault. */
  readonly isPubSubBetterElsewhere: () => boolean;
  /** Where Consul is not used it is never missed. */
  readonly isConsulMissed: () => boolean;
  readonly consulTrouble: () => ConsulTrouble | undefined;
  readonly liveMediaNodes: () => number;
  /** Why no media node can be used, where there are some. */
  readonly unusableLinks: () => readonly LinkTrouble[] | undefined;
  /** Tokens fail here that other edges take. */
  readonly isClockOff: () => boolean;
  readonly isStopping: () => boolean;
  readonly isDraining: () => boolean;
  /** Another living process has this edge's id. */
  readonly isIdTaken: () => boolean;
}

/** Why no new work should come here now; empty when it should. Liveness is another question. */
export function reasonsAgainst(question: ReadinessQuestion): string[] {
  const reasons: string[] = [];
  if (question.isStopping()) reasons.push('stopping');
  if (question.isDraining()) reasons.push('draining');
  if (!question.isStoreAvailable()) reasons.push('store_unavailable');
  if (question.pubSubTrouble() !== undefined) reasons.push('pubsub_unavailable');
  if (question.isConsulMissed()) reasons.push('consul_unavailable');
  if (question.liveMediaNodes() === 0) reasons.push('no_media_node');
  if (question.unusableLinks() !== undefined) reasons.push('no_control_link');
  if (question.isClockOff()) reasons.push('clock_off');
  if (question.isIdTaken()) reasons.push('id_taken');
  return reasons;
}

/**
 * Whether load balancers are to send people here. Without pub/sub meetings go on, some seconds late, and mostly all edges lack it at
 * once: people are sent elsewhere for it only where that is better (SPEC HL53).
 */
export function isOffered(question: ReadinessQuestion): boolean {
  return reasonsAgainst(question).every(
    (reason) => reason === 'pubsub_unavailable' && !question.isPubSubBetterElsewhere(),
  );
}

export function readinessOf(question: ReadinessQuestion): Readiness {
  const reasons = reasonsAgainst(question);
  const store = question.storeTrouble();
  const pubSub = question.pubSubTrouble();
  const consul = question.consulTrouble();
  const controlLinks = question.unusableLinks();
  return {
    ready: reasons.length === 0,
    reasons,
    ...(store === undefined ? {} : { store }),
    ...(pubSub === undefined ? {} : { pubSub }),
    ...(consul === undefined ? {} : { consul }),
    ...(controlLinks === undefined ? {} : { controlLinks }),
  };
}
