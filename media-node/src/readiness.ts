import type { ConsulTrouble, Readiness, StoreTrouble } from '@plenary/cluster';

/** The facts that decide the readiness of a media node. */
export interface ReadinessFacts {
  readonly isStopping: boolean;
  readonly isDraining: boolean;
  readonly isStoreAvailable: boolean;
  /** Absent without Consul. */
  readonly isConsulAvailable: boolean | undefined;
  /** The reason why the registry lease is not held; `undefined` while it is. */
  readonly leaseMissing: string | undefined;
  readonly workersAlive: number;
  readonly isSurelyUnreached: boolean;
  /** Edges serve, but none has a control link to this node. */
  readonly isUnlinked: boolean;
  readonly storeTrouble: StoreTrouble | undefined;
  readonly consulTrouble: ConsulTrouble | undefined;
}

/** Lists every reason against sending this node new peers, as `/ready` names them (HA_SETUP.md explains each). */
export function reasonsAgainst(facts: ReadinessFacts): readonly string[] {
  return [
    facts.isStopping ? 'stopping' : undefined,
    facts.isDraining ? 'draining' : undefined,
    facts.isStoreAvailable ? undefined : 'store_unavailable',
    facts.isConsulAvailable === false ? 'consul_unavailable' : undefined,
    facts.leaseMissing,
    facts.workersAlive > 0 ? undefined : 'no_worker_alive',
    facts.isSurelyUnreached ? 'media_unreached' : undefined,
    facts.isUnlinked ? 'no_edge_link' : undefined,
  ].filter((reason) => reason !== undefined);
}

export function readinessOf(facts: ReadinessFacts): Readiness {
  const reasons = reasonsAgainst(facts);
  const { storeTrouble, consulTrouble } = facts;
  return {
    ready: reasons.length === 0,
    reasons,
    ...(storeTrouble === undefined ? {} : { store: storeTrouble }),
    ...(consulTrouble === undefined ? {} : { consul: consulTrouble }),
  };
}
